"""Checks of the archive: XEP-0313, its pages, its filters and what is kept (XEP-0441), through slixmpp's plugins."""
import asyncio
import xml.etree.ElementTree as ET

from client import CLIENT, SID, condition, must, show

ALL = []

MAM = '{urn:xmpp:mam:2}'


def check(name):
    def register(function):
        ALL.append((name, function))
        return function
    return register


def texts(results):
    return [r['mam_result']['forwarded']['stanza']['body'] for r in results]


async def everything(client, **options):
    """All results of a query, page by page."""
    return [r async for r in client['xep_0313'].iterate(**options)]


async def newest(client, **options):
    """The last result of a query."""
    return [r async for r in client['xep_0313'].iterate(reverse=True, rsm={'max': 1}, total=1, **options)][0]


async def settled(*clients):
    for c in clients:
        await c.settle()


@check('the archive is announced')
async def announced(w):
    info = (await w.alice['xep_0030'].get_info(jid=w.jid('alice'), local=False, cached=False))['disco_info']
    for feature in ('urn:xmpp:mam:2', 'urn:xmpp:mam:2#extended', 'urn:xmpp:sid:0'):
        must(feature in info['features'], '%s is not announced: %s', feature, sorted(info['features']))
    form = await w.alice['xep_0313'].get_fields()
    for field in ('with', 'start', 'end', 'before-id', 'after-id', 'ids'):
        must(field in form.get_fields(), 'the form lacks %s: %s', field, form)


@check('pages of a conversation, in both directions')
async def pages(w):
    w.erin, w.frank = await w.person('carol'), await w.person('carol', 'other')
    said = ['page %d' % i for i in range(25)]
    for i, text in enumerate(said):
        if i % 2:
            await w.bob.say(w.jid('carol'), text)
            await w.erin.expect(text, w.erin.message_from(w.jid('bob'), text))
        else:
            await w.erin.say(w.jid('bob'), text)
            await w.bob.expect(text, w.bob.message_from(w.jid('carol'), text))
    for who, other in ((w.erin, 'bob'), (w.bob, 'carol')):
        for size in (1, 7, 100):
            got = texts(await everything(who, with_jid=w.jid(other), rsm={'max': size}))
            must([t for t in got if t in said] == said, '%s, %d a page: %s', who.name, size, got)
            back = texts(await everything(who, with_jid=w.jid(other), rsm={'max': size}, reverse=True))
            must(back[::-1] == got, '%s, %d a page, backward: %s', who.name, size, back)
    mixed = texts(await everything(w.erin, with_jid=w.jid('alice')))
    must(not any(t in said for t in mixed), 'with alice: %s', mixed)


@check('the archive has the ids of the live copies')
async def ids(w):
    await w.alice.say(w.jid('bob'), 'which id')
    e = await w.bob.expect('the message', w.bob.message_from(w.jid('alice'), 'which id'))
    live = e.find(SID + 'stanza-id').get('id')
    got = await newest(w.bob, with_jid=w.jid('alice'))
    must(got['mam_result']['id'] == live, 'live %s, archive %s', live, got)
    must(got['from'] in ('', w.jid('bob')), 'from: %s', got)
    must(got['mam_result']['forwarded']['delay']['stamp'] is not None, 'no time: %s', got)
    must(got['mam_result']['forwarded']['stanza']['from'] == w.alice.boundjid.full, 'sender: %s', got)
    about = await w.bob['xep_0313'].get_archive_metadata(timeout=5)
    must(about['mam_metadata']['end']['id'] == live, 'the archive ends at %s', about)


@check('from a time on')
async def since(w):
    await asyncio.sleep(0.01)
    await w.alice.say(w.jid('bob'), 'before it')
    await settled(w.alice, w.bob)
    last = await newest(w.bob)
    start = last['mam_result']['forwarded']['delay']['stamp']
    await asyncio.sleep(0.01)
    await w.alice.say(w.jid('bob'), 'after it')
    await settled(w.alice, w.bob)
    got = texts((await w.bob['xep_0313'].retrieve(start=start, timeout=5))['mam']['results'])
    must(got in (['before it', 'after it'], ['after it']), 'since %s: %s', start, got)  # it writes times in whole seconds, or not
    got = texts((await w.bob['xep_0313'].retrieve(end=start.replace(year=2000), timeout=5))['mam']['results'])
    must(got == [], 'before the year 2000: %s', got)


@check('an archive is its owner\'s')
async def others(w):
    answer = await w.alice.query('set', w.jid('bob'), ET.Element(MAM + 'query'))
    must(condition(answer) == 'auth/forbidden', 'alice asks for bob\'s: %s', show(answer))
    query = ET.Element(MAM + 'query')
    rsm = ET.SubElement(query, '{http://jabber.org/protocol/rsm}set')
    ET.SubElement(rsm, '{http://jabber.org/protocol/rsm}after').text = 'unknown'
    answer = await w.alice.query('set', None, query)
    must(condition(answer) == 'cancel/item-not-found', 'an unknown id: %s', show(answer))


@check('what is kept is the account\'s to say')
async def preferences(w):
    prefs = w.erin['xep_0441']
    must((await prefs.get_preferences(timeout=5))[0] == 'always', 'before')
    got = (await prefs.set_preferences(timeout=5, default='never', always=[w.jid('alice')], never=[]))['mam_prefs']
    must(got['default'] == 'never' and {str(j) for j in got['always']} == {w.jid('alice')}, 'set: %s', got)
    await w.bob.say(w.jid('carol'), 'off the record')
    e = await w.erin.expect('it', w.erin.message_from(w.jid('bob'), 'off the record'))
    must(e.find(SID + 'stanza-id') is None, 'it has an id: %s', show(e))
    must('off the record' not in texts(await everything(w.erin)), 'it is in the archive')
    must('off the record' in texts(await everything(w.bob)), 'it is not in bob\'s')
    await prefs.set_preferences(timeout=5, default='always', always=[], never=[])
    for c in (w.erin, w.frank):
        await c.sign_out()
