"""Checks of a server with auth.legacy: old clients sign in with SCRAM-SHA-1 and PLAIN.

alice and bob have accounts from before auth.legacy was on, carol and dave from after it.
"""
import asyncio

from client import must
from lockout import reason

ALL = []


def check(name):
    def register(function):
        ALL.append((name, function, False))
        return function
    return register


async def sign_in(w, name, mechanism):
    """Signs in with this mechanism and no other, sends a message to oneself, and signs out."""
    c = w.client(name, 'old', mechanism=mechanism)
    await c.sign_in()
    must(any('<auth' in line and ('mechanism="%s"' % mechanism) in line for line in c.wire), 'signed in with something else')
    c.send_presence()
    await c.say(w.jid(name), 'with ' + mechanism)
    await c.expect('the message', c.message_from(w.jid(name), 'with ' + mechanism))
    await c.sign_out()
    return c


async def refusal(w, name, mechanism, password=None):
    """Tries a password, the right one if none is given, with this mechanism; returns why it is refused."""
    c = w.client(name, 'old', password, mechanism)
    c.connect((w.host, w.port))
    for _ in range(500):
        if c.failures:
            break
        await asyncio.sleep(0.02)
    must(c.failures, '%s was not refused', name)
    c.abort()
    return reason(c.failures[0])[0]


@check('all mechanisms are offered, the good one first')
async def offered(w):
    c = await sign_in(w, 'carol', 'SCRAM-SHA-256')
    names = ['<mechanism>%s</mechanism>' % m for m in ('SCRAM-SHA-256', 'SCRAM-SHA-1', 'PLAIN')]
    must('>%s</mechanisms>' % ''.join(names) in ''.join(c.wire), 'offered: %s', c.offered)


@check('SCRAM-SHA-1')
async def sha1(w):
    await sign_in(w, 'carol', 'SCRAM-SHA-1')


@check('PLAIN')
async def plain(w):
    await sign_in(w, 'carol', 'PLAIN')


@check('an account from before is refused with SCRAM-SHA-1, and not locked out by it')
async def before(w):
    for _ in range(5):
        got = await refusal(w, 'alice', 'SCRAM-SHA-1')
        must(got == 'not-authorized', 'refused with %s', got)
    await sign_in(w, 'alice', 'SCRAM-SHA-256')


@check('one sign-in with PLAIN makes SCRAM-SHA-1 work')
async def upgraded(w):
    await sign_in(w, 'alice', 'PLAIN')
    await sign_in(w, 'alice', 'SCRAM-SHA-1')
    await sign_in(w, 'alice', 'SCRAM-SHA-256')


@check('wrong passwords with PLAIN lock out as others do')
async def locked(w):
    answers = [await refusal(w, 'dave', 'PLAIN', 'not the pass word') for _ in range(4)]
    must(answers == ['not-authorized'] * 2 + ['temporary-auth-failure'] * 2, 'refused with %s', answers)
    got = await refusal(w, 'dave', 'PLAIN')
    must(got == 'temporary-auth-failure', 'the right password: %s', got)
