// Google's client for Node creates, uses and deletes a session on the server that SPANNER_EMULATOR_HOST names.
// Arguments: the folder that holds its node_modules, a database name. Prints what it saw as one line of JSON.
import {createRequire} from 'node:module';

const [folder, name] = process.argv.slice(2);
const {Spanner} = createRequire(`${folder}/`)('@google-cloud/spanner');
const [, projectId, , instanceId, , databaseId] = name.split('/');

const spanner = new Spanner({projectId});
const database = spanner.instance(instanceId).database(databaseId, {max: 1, min: 0});
const [session] = await database.createSession({labels: {peer: 'node'}});
const [metadata] = await session.getMetadata();
await session.keepAlive();
const [sessions] = await database.getSessions();
await session.delete();
const codeAfterDelete = await session.getMetadata().then(() => 0, error => error.code);
console.log(JSON.stringify({
  name: session.formattedName_,
  labels: metadata.labels,
  listed: sessions.map(listed => listed.formattedName_),
  codeAfterDelete,
}));
process.exit(0);
