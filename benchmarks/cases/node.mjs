// Makes calls of CreateSession when it is asked to, one request per line of standard input, and says what they took.
// The argument is JSON: folder (that holds node_modules), address, root (a certificate in PEM), database.
import {createRequire} from 'node:module';
import {createInterface} from 'node:readline';

const {folder, address, root, database: name} = JSON.parse(process.argv[2]);
const require = createRequire(`${folder}/`);
const {Spanner, v1, protos} = require('@google-cloud/spanner');
const grpc = require('@grpc/grpc-js');
const {CreateSessionRequest, Session} = protos.google.spanner.v1;

const [host, port] = address.split(':');
const [, projectId, , instanceId, , databaseId] = name.split('/');
const tls = grpc.credentials.createSsl(Buffer.from(root));
const token = grpc.credentials.createFromMetadataGenerator((_, done) => {
  const metadata = new grpc.Metadata();
  metadata.set('authorization', 'Bearer token');
  done(null, metadata);
});
const withToken = grpc.credentials.combineChannelCredentials(tls, token);

function stub(credentials) {
  const client = new grpc.Client(address, credentials, {'grpc.use_local_subchannel_pool': 1});
  const write = request => Buffer.from(CreateSessionRequest.encode(request).finish());
  const read = bytes => Session.decode(bytes);
  return () => new Promise((resolve, reject) => {
    client.makeUnaryRequest('/google.spanner.v1.Spanner/CreateSession', write, read, {database: name},
      (error, session) => error ? reject(error) : resolve(Session.toObject(session)));
  });
}

const options = {projectId, apiEndpoint: host, servicePath: host, port: Number(port), sslCreds: withToken};
const gapic = new v1.SpannerClient(options);
const database = new Spanner(options).instance(instanceId).database(databaseId, {min: 0, max: 1});
const ways = {
  stub: stub(tls),
  plugin: stub(withToken),
  gapic: () => gapic.createSession({database: name}),
  database: () => database.createSession({}),
};

async function measure({way, number, inFlight}) {
  const call = ways[way];
  for (let cold = 0; cold < 5; cold++) await call();
  const seconds = [];
  const cpu = process.cpuUsage();
  const start = performance.now();
  if (inFlight === 1) {
    for (let made = 0; made < number; made++) {
      const begun = performance.now();
      await call();
      seconds.push((performance.now() - begun) / 1e3);
    }
  } else {
    const worker = async () => { for (let made = 0; made < number / inFlight; made++) await call(); };
    await Promise.all(Array.from({length: inFlight}, worker));
    seconds.push((performance.now() - start) / 1e3 / number);
  }
  const {user, system} = process.cpuUsage(cpu);
  return {seconds, cpu: (user + system) / 1e6 / number};
}

for await (const line of createInterface({input: process.stdin})) {
  console.log(JSON.stringify(await measure(JSON.parse(line))));
}
process.exit(0);
