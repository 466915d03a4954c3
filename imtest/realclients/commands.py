"""Checks of the ad-hoc commands (XEP-0050) and of the service contact, which offers the same in words."""
import xml.etree.ElementTree as ET

import slixmpp
from client import CLIENT, COMMANDS, DATA, Failed, body, condition, must, show

ALL, BLOCKED = [], []

NODE = 'urn:parley:0#'
HINTS = '{urn:xmpp:hints}'


def check(name, into=ALL):
    def register(function):
        into.append((name, function))
        return function
    return register


def form(client, **fields):
    """A submitted form; without fields it still says what it belongs to."""
    f = client['xep_0004'].make_form(ftype='submit')
    f.add_field(var='FORM_TYPE', value='urn:parley:0')
    for name, value in fields.items():
        f.add_field(var=name, value=value)
    return f


async def command(client, name, action='execute', payload=None, session=None):
    """Sends one step through slixmpp's plugin; returns the <command/> of the answer."""
    try:
        iq = await client['xep_0050'].send_command(client.world.domain, NODE + name, action=action, payload=payload,
                                                   sessionid=session, timeout=10)
    except slixmpp.exceptions.IqError as e:
        raise Failed('%s was refused: %s' % (name, e.iq)) from None
    except slixmpp.exceptions.IqTimeout:
        raise Failed('%s was not answered' % name) from None
    answer = iq.xml.find(COMMANDS + 'command')
    must(answer is not None and answer.get('node') == NODE + name, 'answer: %s', show(iq.xml))
    return answer


async def one_step(client, name, action='execute', **fields):
    answer = await command(client, name, action, form(client, **fields))
    must(answer.get('status') == 'completed', 'not completed in one step: %s', show(answer))
    return answer


async def two_steps(client, name, answers, action='complete'):
    """Asks for the form, checks that it has the fields, and sends it in."""
    first = await command(client, name)
    if first.get('status') == 'completed':
        must(not answers, 'completed without being asked anything: %s', show(first))
        return first
    must(first.get('status') == 'executing' and first.get('sessionid'), 'first step: %s', show(first))
    asked = first.find(DATA + 'x')
    must(asked is not None and asked.get('type') == 'form', 'no form: %s', show(first))
    names = {f.get('var') for f in asked.findall(DATA + 'field')}
    must(set(answers) <= names, 'the form asks for %s: %s', names, show(first))
    must(first.find(COMMANDS + 'actions/' + COMMANDS + 'complete') is not None, 'no action complete: %s', show(first))
    last = await command(client, name, action, form(client, **answers), first.get('sessionid'))
    must(last.get('status') == 'completed', 'second step: %s', show(last))
    must(last.get('sessionid') == first.get('sessionid'), 'another session: %s', show(last))
    return last


def note(answer):
    return ' '.join(n.text or '' for n in answer.findall(COMMANDS + 'note'))


def people(answer):
    """The rows of a result form: address → {field: value}."""
    x = answer.find(DATA + 'x')
    must(x is not None and x.get('type') == 'result', 'no result form: %s', show(answer))
    reported = [f.get('var') for f in x.findall(DATA + 'reported/' + DATA + 'field')]
    must(reported == ['jid', 'state', 'last', 'since'], 'reported fields: %s', reported)
    rows = {}
    for item in x.findall(DATA + 'item'):
        row = {f.get('var'): f.findtext(DATA + 'value') for f in item.findall(DATA + 'field')}
        must(set(row) == {'jid', 'state', 'last', 'since'}, 'a row has %s', row)
        must((row['state'] == 'offline') == (not row['since']), 'since when online: %s', row)
        must(row['state'] in ('online', 'away', 'offline'), 'state: %s', row)
        rows[row['jid']] = row
    must(note(answer) != '', 'no note tells the count: %s', show(answer))
    return rows


@check('the commands are listed')
async def listed(w):
    items = await w.alice['xep_0050'].get_commands(w.domain, local=False)
    nodes = {i[1] for i in items['disco_items']['items']}
    for name in ('broadcast', 'whoelse', 'whoelsesince'):
        must(NODE + name in nodes, '%s is not among %s', name, nodes)
        info = (await w.alice['xep_0030'].get_info(jid=w.domain, node=NODE + name, local=False, cached=False))['disco_info']
        must(('automation', 'command-node') in {(i[0], i[1]) for i in info['identities']}, '%s: %s', name, info)


@check('whoelse in one step')
async def whoelse_one(w):
    for action in ('execute', 'complete'):
        rows = people(await one_step(w.alice, 'whoelse', action))
        must(set(rows) == {w.jid('bob')}, 'online: %s', rows)
        must(rows[w.jid('bob')]['state'] == 'online', 'bob: %s', rows)


@check('whoelse in two steps')
async def whoelse_two(w):
    w.bob.send_presence(pshow='away')
    await w.bob.settle()
    rows = people(await two_steps(w.alice, 'whoelse', {}))
    w.bob.send_presence()
    must(set(rows) == {w.jid('bob')} and rows[w.jid('bob')]['state'] == 'away', 'online: %s', rows)


@check('whoelsesince in one step')
async def since_one(w):
    carol = await w.person('carol')
    await carol.sign_out()
    for since in ('60', '15m', '2h'):
        rows = people(await one_step(w.alice, 'whoelsesince', 'complete', since=since))
        must(set(rows) == {w.jid('bob'), w.jid('carol')}, 'since %s: %s', since, rows)
        must(rows[w.jid('bob')]['state'] == 'online' and rows[w.jid('carol')]['state'] == 'offline', 'states: %s', rows)
        must(rows[w.jid('carol')]['last'].endswith('Z'), 'when carol was last seen: %s', rows)


@check('whoelsesince in two steps')
async def since_two(w):
    rows = people(await two_steps(w.alice, 'whoelsesince', {'since': '15m'}))
    must(w.jid('bob') in rows and w.jid('alice') not in rows, 'since 15 m: %s', rows)


@check('whoelsesince refuses what is no time')
async def since_bad(w):
    for since in ('', 'soon', '-5', '5x'):
        answer = await raw(w.alice, 'whoelsesince', since=since)
        bad = condition(answer) == 'modify/bad-request' or answer.find('.//' + COMMANDS + 'note[@type="error"]') is not None
        must(bad, 'since %r: %s', since, show(answer))


async def raw(client, name, **fields):
    payload = ET.Element(COMMANDS + 'command', node=NODE + name, action='complete')
    payload.append(form(client, **fields).xml)
    return await client.query('set', client.world.domain, payload)


@check('an unknown command is refused')
async def unknown(w):
    answer = await raw(w.alice, 'nonsense')
    must(condition(answer) == 'cancel/item-not-found', '%s', show(answer))


def headline(w, text):
    return lambda e: e.tag == CLIENT + 'message' and e.get('type') == 'headline' and body(e) == text


async def hears(w, text):
    e = await w.bob.expect('the broadcast', headline(w, text))
    must(e.get('from') == w.jid('alice'), 'from: %s', show(e))
    must(e.find(HINTS + 'no-store') is not None, 'no <no-store/>: %s', show(e))


@check('broadcast in one step')
async def broadcast_one(w):
    answer = await one_step(w.alice, 'broadcast', 'execute', body='to all, at once')
    must(note(answer) and 'some' not in note(answer).lower().split(), 'note: %s', show(answer))
    await hears(w, 'to all, at once')
    await w.alice.reject('her own broadcast', lambda e: e.tag == CLIENT + 'message' and e.get('type') == 'headline')


@check('broadcast in two steps')
async def broadcast_two(w):
    answer = await two_steps(w.alice, 'broadcast', {'body': 'to all,\nin two steps'})
    must('some' not in note(answer).lower().split(), 'note: %s', show(answer))
    await hears(w, 'to all,\nin two steps')


@check('a command can be cancelled')
async def cancel(w):
    first = await command(w.alice, 'broadcast')
    last = await command(w.alice, 'broadcast', 'cancel', session=first.get('sessionid'))
    must(last.get('status') == 'canceled', 'status: %s', show(last))
    await w.bob.reject('a cancelled broadcast', lambda e: e.tag == CLIENT + 'message')


@check('nobody offline gets a broadcast later')
async def broadcast_offline(w):
    carol = await w.person('carol')
    must(not any(e.get('type') == 'headline' for e in carol.received), 'carol got one: %s', [show(e) for e in carol.received])
    await carol.sign_out()


async def ask(w, words, client=None):
    """Types words to the service contact; returns its answer."""
    client = client or w.alice
    await client.say(w.domain, words)
    e = await client.expect('an answer to %r' % words, lambda e: (
        e.tag == CLIENT + 'message' and e.get('from', '').split('/')[0] == w.domain and body(e) is not None))
    must(e.get('type') == 'chat', 'the answer is no chat: %s', show(e))
    return body(e)


@check('service contact, help')
async def contact_help(w):
    answer = await ask(w, 'help')
    for word in ('whoelse', 'whoelsesince', 'broadcast', 'block', 'unblock', 'message'):
        must(word in answer, 'help does not name %s: %r', word, answer)


@check('service contact, whoelse')
async def contact_whoelse(w):
    answer = await ask(w, 'whoelse')
    must('bob' in answer and 'alice' not in answer, 'answer: %r', answer)


@check('service contact, whoelsesince')
async def contact_since(w):
    answer = await ask(w, 'whoelsesince 15m')
    must('bob' in answer and 'carol' in answer, 'answer: %r', answer)
    must('carol' not in await ask(w, 'whoelse'), 'carol is not online')


@check('service contact, broadcast')
async def contact_broadcast(w):
    answer = await ask(w, 'broadcast good morning everyone')
    must('some' not in answer.lower().split(), 'answer: %r', answer)
    await hears(w, 'good morning everyone')


@check('service contact, message')
async def contact_message(w):
    answer = await ask(w, 'message bob by way of the server')
    must(answer != '', 'no answer')
    await w.bob.expect('the message', w.bob.message_from(w.jid('alice'), 'by way of the server'))
    must((await ask(w, 'message nobody hi')) != answer, 'an unknown user is no different')


@check('service contact, block and unblock')
async def contact_block(w):
    for words in ('block alice', 'block nobody', 'unblock bob'):  # oneself, nobody, not blocked: errors
        must(await ask(w, words), 'no answer to %s', words)
    listed = (await w.alice['xep_0191'].get_blocked(timeout=5))['blocklist']['items']
    must(not listed, 'errors changed the list: %s', listed)
    await ask(w, 'block bob')
    await w.bob.expect('unavailable presence', w.bob.presence_from(w.alice.boundjid.full, 'unavailable'))
    listed = (await w.alice['xep_0191'].get_blocked(timeout=5))['blocklist']['items']
    must({str(j) for j in listed} == {w.jid('bob')}, 'the list holds %s', listed)
    await ask(w, 'unblock bob')
    await w.bob.expect('presence', w.bob.presence_from(w.alice.boundjid.full))


@check('service contact, what it does not understand')
async def contact_unknown(w):
    for words in ('wibble', 'whoelse 5', 'whoelsesince', 'whoelsesince soon', 'broadcast', 'message bob', 'block'):
        answer = await ask(w, words)
        must(answer.strip() != '', 'empty answer to %r', words)


# These run while bob has blocked alice.

@check('whoelse without the one who blocked', BLOCKED)
async def whoelse_blocked(w):
    must(people(await one_step(w.alice, 'whoelse')) == {}, 'bob is listed')
    rows = people(await one_step(w.alice, 'whoelsesince', since='15m'))
    must(w.jid('bob') not in rows, 'bob is listed: %s', rows)
    must('bob' not in await ask(w, 'whoelse'), 'the service contact names bob')
    must('bob' not in await ask(w, 'whoelsesince 15m'), 'the service contact names bob')
    rows = people(await one_step(w.bob, 'whoelse'))
    must(w.jid('alice') in rows, 'who has blocked still sees whom: %s', rows)


@check('broadcast tells that some were not reached', BLOCKED)
async def broadcast_blocked(w):
    answer = await one_step(w.alice, 'broadcast', body='can all hear me?')
    must('some' in note(answer).lower().split(), 'note: %s', show(answer))
    must('bob' not in note(answer), 'the note says who: %s', show(answer))
    must('some' in (await ask(w, 'broadcast can all hear me now?')).lower().split(), 'the service contact does not say it')
    await w.bob.reject('the broadcast', lambda e: e.tag == CLIENT + 'message')
