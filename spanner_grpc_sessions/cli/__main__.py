"""`python -m spanner_grpc_sessions.cli` is the command `spanner-sessions`."""

import sys

from spanner_grpc_sessions.cli import main

sys.exit(main())
