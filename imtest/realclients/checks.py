"""The checks, in the order in which they run. Each gets the World; alice and bob stay signed in from the first ones on."""
import asyncio
import xml.etree.ElementTree as ET

import carbons
import commands
import history
import lockout
import small
from client import BLOCKING, CLIENT, DELAY, SID, STANZAS, body, condition, must, show

ALL = []  # (name, function, always)

BLOCKED_TEXT = 'Your message could not be delivered as the recipient has blocked you.'


def check(name, always=False):
    def register(function):
        ALL.append((name, function, always))
        return function
    return register


@check('sign in over STARTTLS', always=True)
async def sign_in(w):
    w.alice = w.client('alice')
    await w.alice.sign_in()
    must('starttls' in w.alice.features, 'the stream has no TLS')
    must('SCRAM-SHA-256' in w.alice.offered, 'offered mechanisms: %s', w.alice.offered)
    must(not any(m.endswith('-PLUS') for m in w.alice.offered), 'channel binding is offered: %s', w.alice.offered)
    must(w.alice.boundjid.bare == w.jid('alice'), 'bound as %s', w.alice.boundjid)
    must(w.alice.boundjid.resource != '', 'no resource')


@check('roster has everybody and the service contact')
async def roster(w):
    answer = await w.alice.query('get', None, ET.Element('{jabber:iq:roster}query'))
    items = {i.get('jid'): i for i in answer.iter('{jabber:iq:roster}item')}
    for jid in (w.jid('bob'), w.jid('carol'), w.domain):
        must(jid in items, '%s is not in the roster: %s', jid, show(answer))
        must(items[jid].get('subscription') == 'both', 'subscription of %s: %s', jid, show(items[jid]))
    must(w.jid('alice') not in items, 'alice is her own contact')
    must(items[w.domain].get('name') == 'Parley', 'the service contact: %s', show(items[w.domain]))
    w.alice.send_presence()
    await w.alice.get_roster()


@check('the service contact is available')
async def service_presence(w):
    w.alice.seen = 0
    await w.alice.expect('presence of %s' % w.domain, w.alice.presence_from(w.domain))


@check('presence comes', always=True)
async def presence_comes(w):
    w.alice.send_presence()
    w.bob = await w.person('bob')
    await w.alice.expect('presence of bob', w.alice.presence_from(w.bob.boundjid.full))
    w.bob.seen = 0
    await w.bob.expect('presence of alice', w.bob.presence_from(w.alice.boundjid.full))


@check('away and back')
async def away(w):
    w.bob.send_presence(pshow='away', pstatus='lunch')
    e = await w.alice.expect('away', lambda e: e.tag == CLIENT + 'presence' and e.findtext(CLIENT + 'show') == 'away')
    must(e.findtext(CLIENT + 'status') == 'lunch', 'no status: %s', show(e))
    w.bob.send_presence()
    await w.alice.expect('available', lambda e: w.alice.presence_from(w.jid('bob'))(e) and e.find(CLIENT + 'show') is None)


@check('message to a bare address')
async def to_bare(w):
    await w.alice.say(w.jid('bob'), 'hello bob')
    e = await w.bob.expect('the message', w.bob.message_from(w.jid('alice'), 'hello bob'))
    must(e.get('from') == w.alice.boundjid.full, 'from: %s', show(e))
    must(e.get('to') == w.jid('bob'), 'to was rewritten: %s', show(e))
    ids = [s for s in e.findall(SID + 'stanza-id')]
    must(len(ids) == 1 and ids[0].get('by') == w.jid('bob') and ids[0].get('id'), 'stanza-id: %s', show(e))
    must(e.find(DELAY + 'delay') is None, 'a live message is marked as delayed: %s', show(e))


@check('message to a full address, and the reply')
async def to_full(w):
    await w.bob.say(w.alice.boundjid.full, 'hello alice')
    e = await w.alice.expect('the message', w.alice.message_from(w.jid('bob'), 'hello alice'))
    await w.alice.say(e.get('from'), 'got it')
    await w.bob.expect('the reply', w.bob.message_from(w.jid('alice'), 'got it'))


@check('text arrives as it was typed')
async def text(w):
    typed = 'a < b & c > "d" \'e\'\n\ttab, é, 漢字, 🦜👩‍👩‍👧, \u202eright to left\u202c, ]]>, &amp;'
    await w.alice.say(w.jid('bob'), typed)
    e = await w.bob.expect('a message', lambda e: e.tag == CLIENT + 'message' and body(e) is not None)
    must(body(e) == typed, 'sent %r, got %r', typed, body(e))


@check('a hundred messages stay in order')
async def order(w):
    for i in range(100):
        await w.alice.say(w.jid('bob'), 'number %d' % i)
    for i in range(100):
        e = await w.bob.expect('number %d' % i, lambda e: e.tag == CLIENT + 'message' and body(e) is not None)
        must(body(e) == 'number %d' % i, 'number %d: got %r', i, body(e))


@check('message to oneself')
async def to_self(w):
    await w.alice.say(w.jid('alice'), 'note to self')
    await w.alice.expect('the note', w.alice.message_from(w.jid('alice'), 'note to self'))


@check('message to an unknown user is an error')
async def to_nobody(w):
    sent = await w.alice.say(w.jid('nobody'), 'hello?')
    e = await w.alice.expect('an error', lambda e: e.tag == CLIENT + 'message' and e.get('type') == 'error')
    must(e.get('id') == sent and e.get('from') == w.jid('nobody'), 'addresses: %s', show(e))
    must(condition(e) == 'cancel/service-unavailable', 'condition: %s', show(e))


@check('a forged stanza-id does not pass')
async def forged(w):
    m = w.alice.make_message(mto=w.jid('bob'), mbody='forged', mtype='chat')
    ET.SubElement(m.xml, SID + 'stanza-id', {'by': w.jid('bob'), 'id': 'forged'})
    ET.SubElement(m.xml, SID + 'origin-id', {'id': 'mine'})
    m.send()
    e = await w.bob.expect('the message', w.bob.message_from(w.jid('alice'), 'forged'))
    must('forged' not in [s.get('id') for s in e.findall(SID + 'stanza-id')], 'passed: %s', show(e))
    must(e.find(SID + 'origin-id') is not None, 'origin-id is lost: %s', show(e))


@check('typing is passed on')
async def typing(w):
    m = w.alice.make_message(mto=w.bob.boundjid.full, mtype='chat')
    m['chat_state'] = 'composing'
    m.send()
    e = await w.bob.expect('typing', lambda e: e.find('{http://jabber.org/protocol/chatstates}composing') is not None)
    must(e.find(SID + 'stanza-id') is None, 'typing was archived: %s', show(e))


@check('ping the server')
async def ping(w):
    for jid in (w.domain, None, w.jid('alice')):
        answer = await w.alice.query('get', jid, ET.Element('{urn:xmpp:ping}ping'))
        must(answer.get('type') == 'result', 'ping to %s: %s', jid, show(answer))
    await w.alice['xep_0199'].ping(w.domain, timeout=5)


@check('ping another client')
async def ping_client(w):
    await w.alice['xep_0199'].send_ping(w.bob.boundjid, timeout=5)


@check('an unknown iq is refused')
async def unknown_iq(w):
    for jid in (w.domain, None, w.jid('bob'), w.jid('nobody'), w.jid('bob') + '/nowhere'):
        answer = await w.alice.query('get', jid, ET.Element('{urn:example:unknown}query'))
        must(condition(answer) == 'cancel/service-unavailable', 'to %s: %s', jid, show(answer))


@check('disco info of the server')
async def disco_info(w):
    info = (await w.alice['xep_0030'].get_info(jid=w.domain, local=False, cached=False))['disco_info']
    must(('server', 'im') in {(i[0], i[1]) for i in info['identities']}, 'identities: %s', info['identities'])
    for feature in ('http://jabber.org/protocol/disco#info', 'http://jabber.org/protocol/disco#items',
                    'http://jabber.org/protocol/commands', 'urn:xmpp:ping', 'urn:xmpp:blocking', 'msgoffline'):
        must(feature in info['features'], '%s is not announced: %s', feature, sorted(info['features']))
    forms = {f.findtext('{jabber:x:data}field[@var="FORM_TYPE"]/{jabber:x:data}value'): f
             for f in info.xml.findall('{jabber:x:data}x')}
    must('urn:parley:0' in forms, 'no form urn:parley:0: %s', show(info.xml))
    timeout = forms['urn:parley:0'].findtext('{jabber:x:data}field[@var="timeout"]/{jabber:x:data}value')
    must(timeout == '0', 'timeout is %r', timeout)


@check('disco info of an account')
async def disco_account(w):
    info = (await w.alice['xep_0030'].get_info(jid=w.jid('alice'), local=False, cached=False))['disco_info']
    must(('account', 'registered') in {(i[0], i[1]) for i in info['identities']}, 'identities: %s', info['identities'])


@check('disco items of the server')
async def disco_items(w):
    items = await w.alice['xep_0030'].get_items(jid=w.domain, local=False)
    must(items['type'] == 'result', '%s', items)
    unknown = await w.alice.query('get', w.domain, ET.Element('{http://jabber.org/protocol/disco#info}query', node='urn:x'))
    must(condition(unknown) == 'cancel/item-not-found', 'unknown node: %s', show(unknown))


@check('the server says its capabilities')
async def caps(w):
    c = w.alice.features
    must('caps' in c or any('<c ' in line and 'http://jabber.org/protocol/caps' in line for line in w.alice.wire),
         'no <c/> in the stream features')


ALL.extend((name, function, False) for name, function in small.ALL + carbons.ALL + commands.ALL + history.ALL)


def is_unavailable(c, jid):
    return c.presence_from(jid, 'unavailable')


@check('block')
async def block(w):
    listed = (await w.bob['xep_0191'].get_blocked(timeout=5))['blocklist']['items']  # who asks is told of changes
    must(not listed, 'the list already holds %s', listed)
    await w.bob['xep_0191'].block(w.jid('alice'), timeout=5)
    await w.bob.expect('the push', lambda e: e.tag == CLIENT + 'iq' and e.get('type') == 'set' and e.find(BLOCKING + 'block') is not None)
    await w.alice.expect('unavailable presence of bob', is_unavailable(w.alice, w.bob.boundjid.full))
    listed = (await w.bob['xep_0191'].get_blocked(timeout=5))['blocklist']['items']
    must({str(j) for j in listed} == {w.jid('alice')}, 'the list holds %s', listed)


@check('a blocked message comes back')
async def blocked_message(w):
    for to in (w.jid('bob'), w.bob.boundjid.full):
        sent = await w.alice.say(to, 'can you hear me?')
        e = await w.alice.expect('an error', lambda e: e.tag == CLIENT + 'message' and e.get('type') == 'error' and e.get('id') == sent)
        must(e.get('from') == to, 'from: %s', show(e))
        must(condition(e) == 'cancel/service-unavailable', 'condition: %s', show(e))
        must(e.findtext(CLIENT + 'error/' + STANZAS + 'text') == BLOCKED_TEXT, 'text: %s', show(e))
    await w.bob.reject('a blocked message', lambda e: e.tag == CLIENT + 'message')


@check('presence is not seen through a block')
async def blocked_presence(w):
    w.bob.send_presence(pshow='dnd')
    w.alice.send_presence(pto=w.jid('bob'))
    w.alice.send_presence(pto=w.jid('bob'), ptype='probe')
    w.alice.send_presence(pstatus='still here')
    for client, other in ((w.alice, 'bob'), (w.bob, 'alice')):
        await client.reject('presence of ' + other, lambda e: (
            e.tag == CLIENT + 'presence' and e.get('type') != 'error' and e.get('from', '').startswith(w.jid(other))))
    answer = await w.alice.query('get', w.bob.boundjid.full, ET.Element('{urn:xmpp:ping}ping'))
    must(condition(answer) == 'cancel/service-unavailable', 'iq to the blocker: %s', show(answer))


@check('one does not write to whom one has blocked')
async def blocker_writes(w):
    sent = await w.bob.say(w.jid('alice'), 'hello from behind the wall')
    e = await w.bob.expect('an error', lambda e: e.tag == CLIENT + 'message' and e.get('type') == 'error' and e.get('id') == sent)
    must(condition(e) == 'cancel/not-acceptable', 'condition: %s', show(e))
    must(e.find(CLIENT + 'error/{urn:xmpp:blocking:errors}blocked') is not None, 'no <blocked/>: %s', show(e))
    await w.alice.reject('a message of bob', lambda e: e.tag == CLIENT + 'message')


@check('a new session of a blocked user sees nothing either')
async def blocked_newcomer(w):
    second = await w.person('alice', 'second')
    must(not any(w.jid('bob') in e.get('from', '') and e.tag == CLIENT + 'presence' for e in second.received),
         'presence of bob: %s', [show(e) for e in second.received])
    await second.sign_out()


ALL.extend((name, function, False) for name, function in commands.BLOCKED)


@check('unblock')
async def unblock(w):
    w.bob.send_presence()
    await w.bob['xep_0191'].unblock(w.jid('alice'), timeout=5)
    await w.bob.expect('the push', lambda e: e.tag == CLIENT + 'iq' and e.get('type') == 'set' and e.find(BLOCKING + 'unblock') is not None)
    await w.alice.expect('presence of bob', w.alice.presence_from(w.bob.boundjid.full))
    listed = (await w.bob['xep_0191'].get_blocked(timeout=5))['blocklist']['items']
    must(not listed, 'the list still holds %s', listed)
    await w.alice.say(w.jid('bob'), 'here again')
    await w.bob.expect('a message', w.bob.message_from(w.jid('alice'), 'here again'))


@check('messages wait for who is away')
async def offline(w):
    for i in range(5):
        await w.alice.say(w.jid('carol'), 'later %d' % i)
    await w.alice.settle()
    await asyncio.sleep(1.1)
    carol = await w.person('carol')
    carol.seen = 0
    for i in range(5):
        e = await carol.expect('message %d' % i, lambda e: e.tag == CLIENT + 'message')
        must(body(e) == 'later %d' % i, 'message %d: got %s', i, show(e))
        delay = e.find(DELAY + 'delay')
        must(delay is not None and delay.get('from') == w.domain and delay.get('stamp', '').endswith('Z'), 'delay: %s', show(e))
        must(e.get('from') == w.alice.boundjid.full, 'from: %s', show(e))
        ids = [s for s in e.findall(SID + 'stanza-id') if s.get('by') == w.jid('carol')]
        must(len(ids) == 1, 'stanza-id: %s', show(e))
    await w.alice.say(w.jid('carol'), 'now')
    e = await carol.expect('a live message', carol.message_from(w.jid('alice'), 'now'))
    must(e.find(DELAY + 'delay') is None, 'a live message is marked as delayed: %s', show(e))
    await carol.sign_out()


@check('what was delivered does not come again')
async def offline_once(w):
    carol = await w.person('carol')
    await asyncio.sleep(0.5)
    again = [show(e) for e in carol.received if e.tag == CLIENT + 'message']
    must(not again, 'again: %s', again)
    await carol.sign_out()


@check('presence goes')
async def presence_goes(w):
    full = w.bob.boundjid.full
    await w.bob.sign_out()
    await w.alice.expect('unavailable presence', is_unavailable(w.alice, full))


@check('a lost connection is a logout')
async def lost(w):
    dave = await w.person('dave')
    await w.alice.expect('presence of dave', w.alice.presence_from(dave.boundjid.full))
    dave.abort()
    await w.alice.expect('unavailable presence', is_unavailable(w.alice, dave.boundjid.full))


@check('change the password and back')
async def password(w):
    for new in ('another-pass-word-77', w.password):
        query = ET.Element('{jabber:iq:register}query')
        ET.SubElement(query, '{jabber:iq:register}username').text = 'alice'
        ET.SubElement(query, '{jabber:iq:register}password').text = new
        answer = await w.alice.query('set', w.domain, query)
        must(answer.get('type') == 'result', '%s', show(answer))
        second = w.client('alice', 'second', new)
        await second.sign_in()
        await second.sign_out()


ALL.extend((name, function, False) for name, function in lockout.ALL)
