"""Checks of copies for one's other clients (XEP-0280), through slixmpp's plugin."""
import xml.etree.ElementTree as ET

from client import SID, must, show

ALL = []


def check(name):
    def register(function):
        ALL.append((name, function))
        return function
    return register


def listen(client):
    """The copies that the plugin takes for such, in order: kind, and the message inside."""
    copies = []
    for kind in ('carbon_received', 'carbon_sent'):
        client.add_event_handler(kind, lambda m, kind=kind: copies.append((kind, m[kind])))
    return copies


def summary(copies):
    return [(kind, m['body']) for kind, m in copies]


@check('copies are announced')
async def announced(w):
    info = (await w.alice['xep_0030'].get_info(jid=w.domain, local=False, cached=False))['disco_info']
    for feature in ('urn:xmpp:carbons:2', 'urn:xmpp:carbons:rules:0'):
        must(feature in info['features'], '%s is not announced: %s', feature, sorted(info['features']))


@check('copies of what is sent and received')
async def copies(w):
    phone, desk = await w.person('alice', 'phone'), await w.person('alice', 'desk')
    await phone['xep_0280'].enable(timeout=5)
    at_phone, at_desk = listen(phone), listen(desk)
    await w.bob.settle()
    await desk.say(w.jid('bob'), 'from the desk')
    await w.bob.expect('the message', w.bob.message_from(w.jid('alice'), 'from the desk'))
    message = w.bob.make_message(mto=desk.boundjid.full, mbody='to the desk', mtype='chat')
    message.send()
    await desk.expect('the answer', desk.message_from(w.jid('bob'), 'to the desk'))
    await phone.settle()
    await desk.settle()
    must(summary(at_phone) == [('carbon_sent', 'from the desk'), ('carbon_received', 'to the desk')], 'copies: %s', at_phone)
    must(not at_desk, 'the desk has not asked: %s', at_desk)
    for _, m in at_phone:
        ids = m.xml.findall(SID + 'stanza-id')
        must(len(ids) == 1 and ids[0].get('by') == w.jid('alice') and ids[0].get('id'), 'its id: %s', show(m.xml))
    await phone['xep_0280'].disable(timeout=5)
    await desk.say(w.jid('bob'), 'no copy')
    await w.bob.expect('the message', w.bob.message_from(w.jid('alice'), 'no copy'))
    await phone.settle()
    must(len(at_phone) == 2, 'after the end: %s', at_phone)
    await phone.sign_out()
    await desk.sign_out()


@check('no copies of what is private')
async def private(w):
    phone, desk = await w.person('alice', 'phone'), await w.person('alice', 'desk')
    await phone['xep_0280'].enable(timeout=5)
    at_phone = listen(phone)
    message = desk.make_message(mto=w.jid('bob'), mbody='psst', mtype='chat')
    message.append(ET.Element('{urn:xmpp:carbons:2}private'))
    message.send()
    e = await w.bob.expect('the message', w.bob.message_from(w.jid('alice'), 'psst'))
    must(e.find('{urn:xmpp:carbons:2}private') is None, 'the word private is left: %s', show(e))
    await phone.settle()
    must(not at_phone, 'copies: %s', at_phone)
    await phone.sign_out()
    await desk.sign_out()
