"""What an ordinary XMPP client (slixmpp) sees of the server: one line per check on standard output.

    ok NAME
    not ok NAME: why
    server WORD: whoever runs it is to do that with the server, and answers "done" on standard input
    # anything else

Every check runs, also after a failed one; the exit code is the number of failed ones, at most 100. What went over the
wire during a failed check goes to standard error. checks.py holds the checks (--checks names another module), client.py
the client.
"""
import argparse
import asyncio
import importlib
import os
import sys

from client import Failed, World


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument('--host', default='127.0.0.1')
    p.add_argument('--port', type=int, required=True)
    p.add_argument('--domain', default='localhost')
    p.add_argument('--block', type=float, default=4, help='the server\'s BLOCK_DURATION in seconds')
    p.add_argument('--checks', default='checks', help='the module that has them')
    p.add_argument('--only', default='', help='run only checks whose name contains this, and the sign-in')
    return p.parse_args()


async def run_one(world, name, function, limit=30):
    """Runs one check and reports it; tells whether it passed."""
    world.mark()
    try:
        await asyncio.wait_for(function(world), limit)
    except asyncio.TimeoutError:
        why = 'not done after %d s' % limit
    except Failed as e:
        why = str(e)
    except Exception as e:  # a check must not end the run, whatever happens in it
        why = '%s: %s' % (type(e).__name__, e)
    else:
        print('ok', name, flush=True)
        return True
    print('not ok %s: %s' % (name, ' '.join(why.split())), flush=True)
    print('--- %s: on the wire' % name, file=sys.stderr)
    for line in world.wire():
        print(line, file=sys.stderr)
    return False


async def main(options):
    checks = importlib.import_module(options.checks)
    world = World(options.host, options.port, options.domain, os.environ['PARLEY_TEST_PASSWORD'], options.block)
    failed = 0
    for name, function, always in checks.ALL:
        if options.only and options.only not in name and not always:
            continue
        if not await run_one(world, name, function):
            failed += 1
    await world.close()
    return min(failed, 100)


if __name__ == '__main__':
    sys.exit(asyncio.get_event_loop().run_until_complete(main(arguments())))
