"""A slixmpp client that remembers what it received, and a few words to look into XML."""
import asyncio
import logging
import ssl
import sys
import xml.etree.ElementTree as ET

import slixmpp

CLIENT = '{jabber:client}'
STANZAS = '{urn:ietf:params:xml:ns:xmpp-stanzas}'
STREAMS = '{urn:ietf:params:xml:ns:xmpp-streams}'
SASL = '{urn:ietf:params:xml:ns:xmpp-sasl}'
DELAY = '{urn:xmpp:delay}'
SID = '{urn:xmpp:sid:0}'
BLOCKING = '{urn:xmpp:blocking}'
COMMANDS = '{http://jabber.org/protocol/commands}'
DATA = '{jabber:x:data}'

PLUGINS = ('xep_0004', 'xep_0012', 'xep_0030', 'xep_0049', 'xep_0050', 'xep_0054', 'xep_0077', 'xep_0085', 'xep_0092',
           'xep_0115', 'xep_0133', 'xep_0184', 'xep_0191', 'xep_0199', 'xep_0202', 'xep_0203', 'xep_0280', 'xep_0313', 'xep_0359', 'xep_0441')

logging.basicConfig(level=logging.CRITICAL)


class Failed(Exception):
    """A check did not see what it must see."""


def must(condition, why, *args):
    if not condition:
        raise Failed(why % args if args else why)


def show(element):
    return ET.tostring(element, encoding='unicode')


def body(element):
    return element.findtext(CLIENT + 'body')


def condition(element):
    """The error type and condition of a stanza, like 'cancel/item-not-found', or '' when it has no error."""
    error = element.find(CLIENT + 'error')
    if error is None:
        return ''
    names = [c.tag.removeprefix(STANZAS) for c in error if c.tag.startswith(STANZAS) and c.tag != STANZAS + 'text']
    return '%s/%s' % (error.get('type'), ','.join(names))


class Client(slixmpp.ClientXMPP):
    """One connection. received holds every stanza in the order of arrival, as ElementTree elements."""

    def __init__(self, world, name, password, resource, mechanism=None):
        super().__init__('%s@%s/%s' % (name, world.domain, resource), password, sasl_mech=mechanism)
        self.world, self.name, self.endpoint = world, name, (world.host, world.port)
        self.received, self.wire = [], []
        self.failures, self.stream_errors = [], []
        self.offered = set()
        self.arrived = asyncio.Condition()
        self.ended = asyncio.Event()
        self.seen = 0  # what expect has used up
        self.ssl_context = ssl.create_default_context()
        self.ssl_context.check_hostname = False
        self.ssl_context.verify_mode = ssl.CERT_NONE
        for plugin in PLUGINS:
            self.register_plugin(plugin)
        self.add_filter('in', self._note)
        self.add_event_handler('failed_auth', self._refused)
        self.add_event_handler('stream_error', lambda e: self.stream_errors.append(e.xml))
        self.add_event_handler('disconnected', lambda _: self._wake(self.ended.set))
        self.attempts = 1  # how many wrong passwords to try on this stream

    def send_raw(self, data):
        self.wire.append('%s -> %s' % (self.name, data if isinstance(data, str) else data.decode()))
        super().send_raw(data)

    def data_received(self, data):
        self.wire.append('%s <- %s' % (self.name, data.decode(errors='replace')))
        super().data_received(data)

    def _note(self, stanza):
        if stanza.xml.tag.startswith(CLIENT):
            self.received.append(stanza.xml)
            self._wake()
        return stanza

    def _wake(self, then=None):
        if then:
            then()

        async def wake():
            async with self.arrived:
                self.arrived.notify_all()
        asyncio.ensure_future(wake())

    def _refused(self, failure):
        """Takes note of a refused password. slixmpp goes on to another mechanism by itself, people type once more."""
        mechanisms = self['feature_mechanisms']
        self.offered = set(mechanisms.mech_list)
        self.failures.append(failure.xml)
        if failure.xml.find(SASL + 'temporary-auth-failure') is None and len(self.failures) < self.attempts:
            mechanisms.attempted_mechs.clear()
        else:
            mechanisms._send_auth = lambda: True  # wait for what the server does next

    async def sign_in(self, timeout=15):
        """Connects over STARTTLS and signs in; returns when a session exists."""
        self.connect(self.endpoint)
        await self.wait_until('session_start', timeout)
        self.offered = set(self['feature_mechanisms'].mech_list)

    async def expect(self, what, test, timeout=5):
        """Waits for a stanza that was not used before and passes the test, and uses it up with all before it."""
        async def look():
            async with self.arrived:
                while True:
                    for i in range(self.seen, len(self.received)):
                        if test(self.received[i]):
                            self.seen = i + 1
                            return self.received[i]
                    await self.arrived.wait()
        try:
            return await asyncio.wait_for(look(), timeout)
        except asyncio.TimeoutError:
            raise Failed('%s did not get %s within %s s' % (self.name, what, timeout)) from None

    async def settle(self):
        """Returns when the server has answered a ping and so, for this connection, all that was sent before."""
        await self.query('get', self.world.domain, ET.Element('{urn:xmpp:ping}ping'))

    async def reject(self, what, test):
        """Fails if such a stanza has arrived, or arrives before a ping is answered."""
        await self.settle()
        for element in self.received[self.seen:]:
            must(not test(element), '%s got %s: %s', self.name, what, show(element))

    def message_from(self, sender, text, kind='chat'):
        return lambda e: (e.tag == CLIENT + 'message' and e.get('type', 'normal') == kind and body(e) == text
                          and e.get('from', '').split('/')[0] == sender)

    def presence_from(self, sender, kind=None):
        return lambda e: (e.tag == CLIENT + 'presence' and e.get('type') == kind
                          and sender in (e.get('from', ''), e.get('from', '').split('/')[0]))

    async def query(self, kind, to, payload, timeout=10):
        """Sends an iq; returns the answer as an element, whether result or error."""
        iq = self.make_iq(ito=to, itype=kind)
        iq.append(payload)
        try:
            answer = await iq.send(timeout=timeout)
        except slixmpp.exceptions.IqError as e:
            answer = e.iq
        except slixmpp.exceptions.IqTimeout:
            raise Failed('no answer to %s' % iq) from None
        return answer.xml

    async def say(self, to, text):
        """One chat message; returns its id."""
        message = self.make_message(mto=to, mbody=text, mtype='chat')
        message['id'] = self.new_id()
        message.send()
        return message['id']

    def abort(self):
        """Cuts the connection, which the server may have closed at the same moment: asyncio's transport for TLS has let go of
        its protocol then, and slixmpp asks it all the same."""
        try:
            super().abort()
        except AttributeError:
            pass

    async def sign_out(self):
        self.disconnect()
        await asyncio.wait_for(self.ended.wait(), 10)


class World:
    """The server under test and everybody who is signed in to it."""

    def __init__(self, host, port, domain, password, block):
        self.host, self.port, self.domain, self.password, self.block = host, port, domain, password, block
        self.clients, self.marks = [], {}

    def jid(self, name):
        return '%s@%s' % (name, self.domain)

    def client(self, name, resource='slixmpp', password=None, mechanism=None):
        """A client that is not connected yet; with a mechanism, it signs in with no other one."""
        c = Client(self, name, self.password if password is None else password, resource, mechanism)
        self.clients.append(c)
        return c

    async def person(self, name, resource='slixmpp'):
        """A client that is signed in and has said that it is there."""
        c = self.client(name, resource)
        await c.sign_in()
        await c.get_roster()
        c.send_presence()
        await c.settle()
        return c

    async def ask(self, what):
        """Has the server stop, killed, or started again, by whoever runs this script; returns when that is done."""
        print('server', what, flush=True)
        answer = await asyncio.get_event_loop().run_in_executor(None, sys.stdin.readline)
        must(answer == 'done\n', 'server %s: %r', what, answer)

    def mark(self):
        """Starts a new section for wire, and lets every client forget what it has received."""
        self.marks = {c: len(c.wire) for c in self.clients}
        for c in self.clients:
            c.seen = len(c.received)

    def wire(self):
        for c in self.clients:
            yield from c.wire[self.marks.get(c, 0):]

    async def close(self):
        for c in self.clients:
            if c.is_connected():
                try:
                    await c.sign_out()
                except asyncio.TimeoutError:
                    c.abort()
