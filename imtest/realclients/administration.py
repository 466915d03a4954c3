"""Checks of administration (XEP-0133), through slixmpp's plugins for it and for ad-hoc commands."""
import asyncio
import xml.etree.ElementTree as ET

from client import CLIENT, COMMANDS, SASL, Failed, condition, must, show

ALL = []
ADMIN = 'http://jabber.org/protocol/admin'
NEW = 'eve'
NEW_PASSWORD = 'a-password-for-eve'


def check(name):
    def register(function):
        ALL.append((name, function, not ALL))
        return function
    return register


async def administer(client, command, fields):
    """Runs a command of the plugin: asks for the form, fills it in, returns the last <command/>."""
    done = asyncio.get_running_loop().create_future()

    def finish(iq, _=None):
        if not done.done():
            done.set_result(iq)

    def fill(iq, session):
        form = client['xep_0004'].make_form(ftype='submit')
        form.add_field(var='FORM_TYPE', ftype='hidden', value=ADMIN)
        asked = set(iq['command']['form'].get_fields())
        for name, value in fields.items():
            if name not in asked:
                finish(Failed('%s does not ask for %s, but for %s' % (command, name, asked)))
            form.add_field(var=name, value=value)
        session['payload'] = form
        session['next'] = finish
        client['xep_0050'].complete_command(session)

    getattr(client['xep_0133'], command)(jid=client.world.domain, session={'next': fill if fields else finish, 'error': finish})
    iq = await asyncio.wait_for(done, 10)
    if isinstance(iq, Failed):
        raise iq
    return iq


def completed(iq):
    must(iq['type'] == 'result' and iq['command']['status'] == 'completed', '%s', show(iq.xml))
    return iq.xml.findtext('.//' + COMMANDS + 'note') or ''


@check('an administrator signs in and finds the commands')
async def finds(w):
    w.root = await w.person('root')
    items = await w.root['xep_0133'].get_commands()
    nodes = {i[1] for i in items['disco_items']['items']}
    for name in ('add-user', 'delete-user', 'disable-user', 'reenable-user', 'announce', 'set-motd', 'shutdown'):
        must(ADMIN + '#' + name in nodes, '%s is not among %s', name, nodes)
    w.bob = await w.person('bob')
    items = await w.bob['xep_0133'].get_commands()
    must(not any(i[1].startswith(ADMIN) for i in items['disco_items']['items']), 'bob sees them, too')


@check('add-user')
async def add(w):
    note = completed(await administer(w.root, 'add_user', {
        'accountjid': w.jid(NEW), 'password': NEW_PASSWORD, 'password-verify': NEW_PASSWORD}))
    must(w.jid(NEW) in note, 'note: %r', note)
    w.eve = w.client(NEW, password=NEW_PASSWORD)
    await w.eve.sign_in()
    # once more, in one step: the plugin does not hear of an error in the second one
    form = w.root['xep_0004'].make_form(ftype='submit')
    for name, value in (('accountjid', w.jid(NEW)), ('password', NEW_PASSWORD)):
        form.add_field(var=name, value=value)
    payload = ET.Element(COMMANDS + 'command', node=ADMIN + '#add-user', action='complete')
    payload.append(form.xml)
    answer = await w.root.query('set', w.domain, payload)
    must(condition(answer) == 'cancel/conflict', '%s', show(answer))


@check('disable-user ends the session and refuses the next')
async def disable(w):
    completed(await administer(w.root, 'disable_user', {'accountjids': [w.jid(NEW)]}))
    await asyncio.wait_for(w.eve.ended.wait(), 10)
    must(w.eve.stream_errors, 'the stream ended without an error')
    await refused(w, 'account-disabled')


async def refused(w, why):
    client = w.client(NEW, 'again', NEW_PASSWORD)
    client.connect((w.host, w.port))
    for _ in range(100):
        if client.failures:
            break
        await asyncio.sleep(0.1)
    must(client.failures and client.failures[0].find(SASL + why) is not None, 'refused with %s', [show(f) for f in client.failures])
    must('http' not in (client.failures[0].findtext(SASL + 'text') or ''), 'a link in the text')
    client.abort()


@check('reenable-user')
async def reenable(w):
    await w.bob.say(w.jid(NEW), 'while you were locked out')
    await w.bob.settle()
    completed(await administer(w.root, 'reenable_user', {'accountjids': [w.jid(NEW)]}))
    w.eve = w.client(NEW, password=NEW_PASSWORD)
    await w.eve.sign_in()
    w.eve.send_presence()
    await w.eve.expect('what was written meanwhile', w.eve.message_from(w.jid('bob'), 'while you were locked out'))


@check('announce')
async def announce(w):
    completed(await administer(w.root, 'announce', {'announcement': 'Cake\nin the kitchen'}))
    for c in (w.bob, w.eve):
        await c.expect('the announcement', c.message_from(w.domain, 'Cake\nin the kitchen', 'headline'))


@check('set-motd')
async def motd(w):
    completed(await administer(w.root, 'set_motd', {'motd': 'Be kind'}))
    await w.bob.expect('the message of the day', w.bob.message_from(w.domain, 'Be kind', 'normal'))
    completed(await administer(w.root, 'delete_motd', {}))


@check('get-online-users-num')
async def online(w):
    iq = await administer(w.root, 'get_online_users_num', {})
    completed(iq)
    must(iq['command']['form'].get_values()['onlineusersnum'] == '3', '%s', show(iq.xml))


@check('somebody else is forbidden')
async def forbidden(w):
    iq = await administer(w.bob, 'announce', {})
    must(iq['type'] == 'error' and iq['error']['condition'] == 'forbidden', '%s', show(iq.xml))
    await w.eve.reject('an announcement', lambda e: e.tag == CLIENT + 'message')


@check('delete-user')
async def delete(w):
    completed(await administer(w.root, 'delete_user', {'accountjids': [w.jid(NEW)]}))
    await asyncio.wait_for(w.eve.ended.wait(), 10)
    await refused(w, 'not-authorized')
