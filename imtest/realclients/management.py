"""Checks of stream management (XEP-0198), of receipts across it (XEP-0184), and of tombstones (XEP-0424). alice and bob talk;
carol sees both, and must not hear that connections are lost."""
import asyncio
import xml.etree.ElementTree as ET

from carbons import listen, summary
from client import CLIENT, SID, must, show
from history import everything, texts
from managed import Managed

ALL = []

RETRACT = '{urn:xmpp:message-retract:1}'
STANZAS = '{urn:ietf:params:xml:ns:xmpp-stanzas}'


def check(name, always=False):
    def register(function):
        ALL.append((name, function, always))
        return function
    return register


async def person(w, name, resource='slixmpp'):
    c = Managed(w, name, w.password, resource)
    w.clients.append(c)
    await c.sign_in()
    await c.get_roster()
    c.send_presence()
    await c.settle()
    return c


async def leave(client, *others):
    """Signs a client out; returns when the others have heard so."""
    await client.sign_out()
    for c in others:
        await c.expect('unavailable presence', c.presence_from(client.boundjid.full, 'unavailable'))


async def quiet(*clients):
    """Nobody has heard presence since the last mark."""
    for c in clients:
        await c.reject('presence', lambda e: e.tag == CLIENT + 'presence')


async def heard(client, sender, texts):
    """Waits for messages, and for no others from the same sender."""
    await client.until('told %s by %s: %s' % (texts, sender, client.said(sender)), lambda: len(client.said(sender)) >= len(texts))
    await client.settle()
    must(client.said(sender) == texts, '%s heard from %s: %s', client.name, sender, client.said(sender))


@check('it is offered and on', always=True)
async def enable(w):
    w.alice, w.bob, w.carol = await person(w, 'alice'), await person(w, 'bob'), await person(w, 'carol')
    for c in (w.alice, w.bob, w.carol):
        must(c['xep_0198'].sm_id, '%s has no id', c.name)
        must(any("max='600'" in line for line in c.wire), '%s cannot resume for 600 s', c.name)
    for c in (w.alice, w.bob):
        await c.expect('presence of carol', c.presence_from(w.carol.boundjid.full))


@check('acknowledgements, both ways')
async def acknowledgements(w):
    said = [await w.alice.say(w.jid('bob'), 'ack %d' % i) for i in range(7)]
    await heard(w.bob, w.jid('alice'), ['ack %d' % i for i in range(7)])
    await w.alice.safe()
    must([i for i in w.alice.acked if i in said] == said, 'acknowledged: %s', w.alice.acked)
    asked = [line for line in w.wire() if line.startswith('bob <-') and "<r xmlns='urn:xmpp:sm:3'/>" in line]
    must(asked, 'the server has not asked bob')


@check('a lost connection')
async def lost(w):
    w.bob.relay.lose('up', 'down')
    back = [await w.bob.tell(w.jid('alice'), 'back %d' % i) for i in range(3)]
    there = [await w.alice.tell(w.jid('bob'), 'there %d' % i) for i in range(5)]
    for way in ('up', 'down'):
        await asyncio.wait_for(w.bob.relay.lost[way].wait(), 5)
    await w.alice.settle()
    await w.bob.cut()
    there += [await w.alice.tell(w.jid('bob'), 'there %d' % i) for i in (5, 6)]
    await w.alice.settle()
    must(not w.bob.said(w.jid('alice')) and not w.alice.said(w.jid('bob')), 'nothing was lost: this checks nothing')
    await w.bob.go_on()
    await heard(w.bob, w.jid('alice'), ['there %d' % i for i in range(7)])
    await heard(w.alice, w.jid('bob'), ['back %d' % i for i in range(3)])
    await w.alice.until('given the receipts', lambda: len(w.alice.receipts) >= len(there))
    await w.bob.until('given the receipts', lambda: len(w.bob.receipts) >= len(back))
    await quiet(w.alice, w.carol)
    must(w.alice.receipts == there and w.bob.receipts == back, 'receipts: %s, %s', w.alice.receipts, w.bob.receipts)


@check('a connection that the server does not know to be lost')
async def takeover(w):
    w.bob.relay.holds = True
    w.bob.relay.lose('down')
    await w.alice.say(w.jid('bob'), 'nobody reads this')
    await asyncio.wait_for(w.bob.relay.lost['down'].wait(), 5)
    gone = w.bob.disconnected
    w.bob.abort()
    await asyncio.wait_for(gone, 5)
    w.bob.relay.losing = set()
    await w.alice.say(w.jid('bob'), 'nor this')
    await w.alice.settle()
    await w.bob.go_on()
    w.bob.relay.holds = False
    await heard(w.bob, w.jid('alice'), ['nobody reads this', 'nor this'])
    await quiet(w.alice, w.carol)


@check('copies for a client whose connection was lost')
async def copies(w):
    phone = await person(w, 'bob', 'phone')
    await phone['xep_0280'].enable(timeout=5)
    at_phone = listen(phone)
    await phone.cut()
    await w.bob.say(w.jid('alice'), 'from the desk')
    await w.alice.expect('the message', w.alice.message_from(w.jid('bob'), 'from the desk'))
    await phone.go_on()
    await w.bob.say(w.jid('alice'), 'and more')
    await w.alice.expect('the message', w.alice.message_from(w.jid('bob'), 'and more'))
    await phone.until('given copies', lambda: len(at_phone) >= 2)
    await phone.settle()
    must(summary(at_phone) == [('carbon_sent', 'from the desk'), ('carbon_sent', 'and more')], 'copies: %s', at_phone)
    await leave(phone, w.alice, w.carol)


@check('the server restarts')
async def restart(w):
    w.bob.relay.lose('down')
    await w.alice.tell(w.jid('bob'), 'before 0')
    await asyncio.wait_for(w.bob.relay.lost['down'].wait(), 5)
    await w.bob.cut()
    receipt = await w.alice.tell(w.jid('bob'), 'before 1')
    await w.alice.settle()
    ends = [c.disconnected for c in (w.alice, w.carol)]
    await w.ask('stop')
    await asyncio.wait_for(asyncio.gather(*ends), 10)
    for c in (w.alice, w.carol):
        must([e for e in c.stream_errors if e.find('{urn:ietf:params:xml:ns:xmpp-streams}system-shutdown') is not None],
             '%s was told %s', c.name, [show(e) for e in c.stream_errors])
    await w.alice.say(w.jid('bob'), 'while it was down')  # slixmpp keeps it
    await w.ask('start')
    await w.bob.go_on()
    await heard(w.bob, w.jid('alice'), ['before 0', 'before 1'])
    await w.alice.go_on()
    await w.carol.go_on()
    await heard(w.bob, w.jid('alice'), ['before 0', 'before 1', 'while it was down'])
    await w.alice.until('given the receipt', lambda: receipt in w.alice.receipts)
    await quiet(w.alice, w.bob, w.carol)
    must(len(set(w.alice.receipts)) == len(w.alice.receipts), 'receipts came twice: %s', w.alice.receipts)


@check('the server is killed')
async def killed(w):
    await w.bob.cut()
    said = ['kept %d' % i for i in range(3)]
    for text in said:
        await w.alice.say(w.jid('bob'), text)
    await w.alice.safe()
    await w.bob.go_on()
    said += ['burst %d' % i for i in range(60)]
    for text in said[3:-5]:
        await w.alice.say(w.jid('bob'), text)
    await w.bob.until('told some of it', lambda: len(w.bob.said(w.jid('alice'))) > 10)
    await w.alice.waiting_queue.join()  # slixmpp loses what it has not tried to send
    w.alice.relay.lose('up')
    w.bob.relay.lose('down')
    for text in said[-5:]:
        await w.alice.say(w.jid('bob'), text)
    await w.alice.waiting_queue.join()
    ends = [c.disconnected for c in (w.alice, w.bob, w.carol)]
    await w.ask('kill')
    await asyncio.wait_for(asyncio.gather(*ends), 10)
    await w.ask('start')
    for c in (w.carol, w.bob, w.alice):
        c.relay.losing = set()
        await c.go_on()
    await w.bob.until('told all of it', lambda: set(w.bob.said(w.jid('alice'))) == set(said))
    await w.bob.settle()
    ids, first = {}, []
    for e in w.bob.received[w.bob.seen:]:
        if e.tag != CLIENT + 'message':
            continue
        text, archived = e.findtext(CLIENT + 'body'), e.find(SID + 'stanza-id').get('id')
        if text not in ids:
            first.append(text)
        must(ids.setdefault(text, archived) == archived, '%s came as %s and as %s', text, ids[text], archived)
    must(first == said, 'in this order: %s', first)
    for c, other in ((w.alice, 'bob'), (w.bob, 'alice')):
        kept = [t for t in texts(await everything(c, with_jid=w.jid(other), rsm={'max': 250})) if t in ids]
        must(kept == said, 'the archive of %s: %s', c.name, kept)
    await quiet(w.alice, w.bob, w.carol)


@check('a session that has ended is not resumed')
async def over(w):
    phone = await person(w, 'bob', 'over')
    await phone.say(w.jid('alice'), 'the last words')
    await phone.settle()
    sent, old = phone['xep_0198'].seq, phone['xep_0198'].sm_id
    await leave(phone, w.alice, w.carol)
    phone.connect(phone.endpoint)
    await phone.until('signed in anew', lambda: phone.starts == 2 and 'stream_management' in phone.features)
    must(len(phone.failed) == 1, '%d answers', len(phone.failed))
    must(phone.failed[0].get('h') == str(sent), 'sent %d: %s', sent, show(phone.failed[0]))
    must(phone.failed[0].find(STANZAS + 'item-not-found') is not None, '%s', show(phone.failed[0]))
    must(phone['xep_0198'].sm_id not in (None, old), 'the new session is %s', phone['xep_0198'].sm_id)
    await phone.settle()
    await leave(phone)


@check('the same message again')
async def again(w):
    message = w.alice.make_message(mto=w.jid('bob'), mbody='once', mtype='chat')
    message['id'] = w.alice.new_id()
    must(message.xml.find(SID + 'origin-id') is not None, 'it has no origin-id: %s', message)
    message.send()
    message.send()
    await w.alice.settle()
    await heard(w.bob, w.jid('alice'), ['once'])


@check('a retraction leaves a tombstone')
async def retraction(w):
    told = await w.alice.say(w.jid('bob'), 'a secret')
    e = await w.bob.expect('it', w.bob.message_from(w.jid('alice'), 'a secret'))
    archived = e.find(SID + 'stanza-id').get('id')
    # slixmpp 1.8.3 has retractions of an older namespace only; those are messages like any other.
    w.alice['xep_0424'].send_retraction(w.jid('bob'), told, include_fallback=False)
    await w.bob.expect('the old retraction', lambda e: e.find('{urn:xmpp:fasten:0}apply-to') is not None)
    must('a secret' in texts(await everything(w.bob, with_jid=w.jid('alice'))), 'the older namespace retracts')
    message = w.alice.make_message(mto=w.jid('bob'), mtype='chat')
    message['id'] = w.alice.new_id()
    message.append(ET.Element(RETRACT + 'retract', id=told))
    message.enable('store')
    message.send()
    await w.bob.expect('the retraction', lambda e: e.find(RETRACT + 'retract') is not None)
    await w.alice.settle()
    for c, other in ((w.alice, 'bob'), (w.bob, 'alice')):
        results = [r['mam_result'] for r in await everything(c, with_jid=w.jid(other), rsm={'max': 250})]
        must('a secret' not in [r['forwarded']['stanza']['body'] for r in results], 'it is still told to %s', c.name)
        left = [r for r in results if r['forwarded']['stanza']['id'] == told]
        must(len(left) == 1, '%s has %d messages of that id', c.name, len(left))
        grave = left[0]['forwarded']['stanza'].xml.find(RETRACT + 'retracted')
        must(grave is not None and grave.get('id') == message['id'] and grave.get('stamp'), 'tombstone: %s', left[0])
        must(c is w.alice or left[0]['id'] == archived, 'it was %s: %s', archived, left[0])
