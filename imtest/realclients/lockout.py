"""Checks of what happens after wrong passwords: three attempts, then a pause."""
import asyncio
import re
import time

from client import SASL, STREAMS, Failed, must, show

ALL = []


def check(name):
    def register(function):
        ALL.append((name, function))
        return function
    return register


def reason(failure):
    """The condition of a SASL failure and its text."""
    names = [c.tag.removeprefix(SASL) for c in failure if c.tag != SASL + 'text']
    return names[0] if names else '', failure.findtext(SASL + 'text') or ''


async def try_wrong(w, name, attempts):
    """Tries a wrong password so often on one stream and waits until the stream ends or nothing more can come."""
    c = w.client(name, 'wrong', 'not the pass word')
    c.attempts = attempts
    c.connect((w.host, w.port))
    try:
        await asyncio.wait_for(c.ended.wait(), 10)
    except asyncio.TimeoutError:
        if c.failures and reason(c.failures[-1])[0] == 'temporary-auth-failure':
            raise Failed('the stream was not closed after %s' % show(c.failures[-1])) from None
        c.abort()
    return c


async def wrong_once(w, name):
    """One attempt on a connection of its own; returns the failure."""
    c = w.client(name, 'wrong', 'not the pass word')
    c.attempts = 1
    c.connect((w.host, w.port))
    deadline = time.monotonic() + 10
    while not c.failures and time.monotonic() < deadline:
        await asyncio.sleep(0.02)
    must(c.failures, 'the wrong password was not refused')
    c.abort()
    return c.failures[0]


def is_locked(w, failure):
    name, text = reason(failure)
    must(name == 'temporary-auth-failure', 'refused with %s', show(failure))
    seconds = re.findall(r'\d+', text)
    must(len(seconds) == 1 and 1 <= int(seconds[0]) <= w.block, 'the text tells no seconds up to %g: %r', w.block, text)


async def refused(w, name):
    """Tries the right password; returns the failure, or fails when it is taken."""
    c = w.client(name, 'right')
    started = asyncio.ensure_future(c.wait_until('session_start', 10))
    c.connect((w.host, w.port))
    ended = asyncio.ensure_future(c.ended.wait())
    await asyncio.wait([started, ended], timeout=10, return_when=asyncio.FIRST_COMPLETED)
    for task in (started, ended):
        task.cancel()
    must(c.failures, 'the right password was not refused')
    return c


@check('three wrong passwords on one stream')
async def three(w):
    c = await try_wrong(w, 'dave', 5)
    w.locked_since = time.monotonic()
    must([reason(f)[0] for f in c.failures] == ['not-authorized', 'not-authorized', 'temporary-auth-failure'],
         'refused with %s', [show(f) for f in c.failures])
    is_locked(w, c.failures[2])
    must(c.stream_errors and c.stream_errors[0].find(STREAMS + 'policy-violation') is not None,
         'stream errors: %s', [show(e) for e in c.stream_errors])


@check('the right password is refused meanwhile')
async def locked(w):
    c = await refused(w, 'dave')
    is_locked(w, c.failures[0])
    must(not any('<challenge' in line for line in c.wire), 'a blocked account got a challenge')
    await asyncio.wait_for(c.ended.wait(), 5)
    must(c.stream_errors and c.stream_errors[0].find(STREAMS + 'policy-violation') is not None, 'the stream was not ended')


@check('others are let in meanwhile')
async def others(w):
    carol = await w.person('carol', 'other')
    await carol.sign_out()


@check('let in again after the pause')
async def let_in(w):
    await asyncio.sleep(max(0, w.locked_since + w.block + 0.2 - time.monotonic()))
    dave = await w.person('dave')
    await dave.sign_out()


@check('attempts on several connections count together')
async def spread(w):
    got = [reason(await wrong_once(w, 'dave'))[0] for _ in range(2)]
    must(got == ['not-authorized'] * 2, 'refused with %s', got)
    is_locked(w, await wrong_once(w, 'dave'))
    await asyncio.sleep(w.block + 0.2)


@check('a right password forgets the wrong ones')
async def forgotten(w):
    for _ in range(2):
        got = [reason(await wrong_once(w, 'dave'))[0] for _ in range(2)]
        must(got == ['not-authorized'] * 2, 'refused with %s', got)
        dave = await w.person('dave')
        await dave.sign_out()


@check('an unknown name looks the same')
async def unknown(w):
    c = await try_wrong(w, 'nobody', 5)
    must([reason(f)[0] for f in c.failures] == ['not-authorized', 'not-authorized', 'temporary-auth-failure'],
         'refused with %s', [show(f) for f in c.failures])
    must(any('<challenge' in line for line in c.wire), 'an unknown name gets no challenge')
