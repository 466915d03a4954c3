"""Checks of the small extensions: vCard, version, last activity, private storage, time; through slixmpp's plugins."""
import datetime
import hashlib
import xml.etree.ElementTree as ET

import slixmpp
from client import CLIENT, condition, must, show
from slixmpp.plugins import xep_0082

ALL = []

PICTURE = bytes(range(256)) * 40  # not one that can be seen, but as large as one


def check(name):
    def register(function):
        ALL.append((name, function))
        return function
    return register


class Notes(slixmpp.ElementBase):
    """What a client may keep in private storage."""
    namespace = 'urn:example:notes'
    name = plugin_attrib = 'notes'
    interfaces = sub_interfaces = {'text'}


async def refused(future):
    """The condition of the error that a plugin's request is answered with, '' when it is none."""
    try:
        await future
    except slixmpp.exceptions.IqError as e:
        return condition(e.iq.xml)
    return ''


@check('what the server can do is announced')
async def announced(w):
    info = (await w.alice['xep_0030'].get_info(jid=w.domain, local=False, cached=False))['disco_info']
    for feature in ('jabber:iq:last', 'jabber:iq:private', 'jabber:iq:version', 'urn:xmpp:time', 'vcard-temp'):
        must(feature in info['features'], '%s is not announced: %s', feature, sorted(info['features']))
    account = (await w.alice['xep_0030'].get_info(jid=w.jid('bob'), local=False, cached=False))['disco_info']
    for feature in ('jabber:iq:last', 'vcard-temp'):
        must(feature in account['features'], '%s is not announced: %s', feature, sorted(account['features']))


@check('vCard, before there is one')
async def vcard_none(w):
    own = await w.alice['xep_0054'].get_vcard(local=False, timeout=5)
    must(len(own.xml.find('{vcard-temp}vCard')) == 0, 'not empty: %s', show(own.xml))
    for name in ('alice', 'nobody'):
        got = await refused(w.bob['xep_0054'].get_vcard(w.jid(name), timeout=5))
        must(got == 'cancel/service-unavailable', 'of %s: %s', name, got)


@check('vCard, set and seen by others')
async def vcard_set(w):
    card = w.alice['xep_0054'].make_vcard()
    card['FN'] = 'Alice < & > Liddell'
    card['PHOTO']['TYPE'] = 'image/png'
    card['PHOTO']['BINVAL'] = PICTURE
    await w.alice['xep_0054'].publish_vcard(card, timeout=5)
    for client, jid in ((w.alice, None), (w.bob, w.jid('alice'))):
        got = (await client['xep_0054'].get_vcard(jid, local=False, timeout=5))['vcard_temp']
        must(got['FN'] == 'Alice < & > Liddell', 'name: %r', got['FN'])
        must(got['PHOTO']['BINVAL'] == PICTURE, 'the picture of %d bytes is %d bytes', len(PICTURE), len(got['PHOTO']['BINVAL']))
    got = await refused(w.bob['xep_0054'].publish_vcard(card, w.jid('alice'), timeout=5))
    must(got == 'auth/forbidden', 'set by somebody else: %s', got)


@check('vCard of who is away')
async def vcard_away(w):
    carol = await w.person('carol')
    card = carol['xep_0054'].make_vcard()
    card['FN'] = 'Carol'
    await carol['xep_0054'].publish_vcard(card, timeout=5)
    await carol.sign_out()
    got = (await w.bob['xep_0054'].get_vcard(w.jid('carol'), timeout=5))['vcard_temp']
    must(got['FN'] == 'Carol', 'name: %r', got['FN'])


@check('the hash of the picture in presence')
async def picture_hash(w):
    presence = w.alice.make_presence()
    update = ET.SubElement(presence.xml, '{vcard-temp:x:update}x')
    ET.SubElement(update, '{vcard-temp:x:update}photo').text = hashlib.sha1(PICTURE).hexdigest()
    presence.send()
    path = '{vcard-temp:x:update}x/{vcard-temp:x:update}photo'
    e = await w.bob.expect('the hash', lambda e: e.tag == CLIENT + 'presence' and e.find(path) is not None)
    must(e.findtext(path) == hashlib.sha1(PICTURE).hexdigest(), 'hash: %s', show(e))
    w.alice.send_presence()
    await w.alice.settle()


@check('version of the server')
async def version(w):
    got = (await w.alice['xep_0092'].get_version(w.domain, timeout=5))['software_version']
    must(got['name'] == 'Parley' and got['version'] and not got['os'], '%s', got)


@check('last activity')
async def last(w):
    async def seconds(jid):
        return (await w.alice['xep_0012'].get_last_activity(jid, timeout=5))['last_activity']['seconds']
    uptime = await seconds(w.domain)
    must(0 <= uptime < 600, 'the server runs for %s s', uptime)
    must(await seconds(w.jid('bob')) == 0, 'bob is online')
    carol = await w.person('carol')
    must(await seconds(w.jid('carol')) == 0, 'carol is online')
    await carol.sign_out()
    must(await seconds(w.jid('carol')) < 30, 'carol has just gone')
    got = await refused(w.alice['xep_0012'].get_last_activity(w.jid('nobody'), timeout=5))
    must(got == 'cancel/service-unavailable', 'nobody: %s', got)


@check('private storage')
async def private(w):
    for client in (w.alice, w.bob):
        client['xep_0049'].register(Notes)
    empty = await w.alice['xep_0049'].retrieve('notes', timeout=5)
    must(empty['private']['notes']['text'] == '', 'before: %s', empty)
    notes = Notes()
    notes['text'] = 'buy < milk & tea'
    await w.alice['xep_0049'].store(notes, timeout=5)
    second = await w.person('alice', 'second')
    second['xep_0049'].register(Notes)
    got = await second['xep_0049'].retrieve('notes', timeout=5)
    must(got['private']['notes']['text'] == 'buy < milk & tea', 'the other client gets %s', got)
    await second.sign_out()
    others = await w.bob['xep_0049'].retrieve('notes', timeout=5)
    must(others['private']['notes']['text'] == '', 'bob gets %s', others)
    query = ET.Element('{jabber:iq:private}query')
    ET.SubElement(query, '{urn:example:notes}notes')
    for kind in ('get', 'set'):
        answer = await w.bob.query(kind, w.jid('alice'), query)
        must(condition(answer) == 'auth/forbidden', '%s of somebody else\'s: %s', kind, show(answer))


@check('time of the server')
async def time(w):
    iq = await w.alice['xep_0202'].get_entity_time(w.domain, timeout=5)
    # Read by hand: this version's plugin adds a Z to a time that has one already.
    utc, tzo = (iq.xml.findtext('{urn:xmpp:time}time/{urn:xmpp:time}' + name) for name in ('utc', 'tzo'))
    off = abs((datetime.datetime.now(datetime.timezone.utc) - xep_0082.parse(utc)).total_seconds())
    must(off < 30, 'the server says %s, %s s from here', utc, off)
    must(datetime.datetime.strptime(tzo, '%z').tzinfo is not None, 'time zone: %s', tzo)
