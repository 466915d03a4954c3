"""A slixmpp client with stream management (XEP-0198), whose connection runs through a relay that can lose bytes."""
import asyncio

import slixmpp
from slixmpp.plugins.xep_0198.stanza import Resume

from client import CLIENT, Client, body, must


class Relay:
    """Carries bytes between one client and the server. What goes a way that is in losing disappears."""

    def __init__(self, server):
        self.server = server
        self.losing, self.lost = set(), {'up': asyncio.Event(), 'down': asyncio.Event()}
        self.holds = False  # the client's end is not passed on, so that the server keeps the connection
        self.links = set()

    async def open(self):
        """Returns the address to connect to."""
        self.listener = await asyncio.start_server(self._link, '127.0.0.1', 0)
        return self.listener.sockets[0].getsockname()

    async def _link(self, reader, writer):
        to_server = await asyncio.open_connection(*self.server)
        link = (writer, to_server[1])
        self.links.add(link)
        down = asyncio.ensure_future(self._carry('down', to_server[0], writer))
        await self._carry('up', reader, to_server[1])
        if not self.holds:
            to_server[1].close()
            self.links.discard(link)
        await down

    async def _carry(self, way, reader, writer):
        try:
            while data := await reader.read(65536):
                if way in self.losing:
                    self.lost[way].set()
                else:
                    writer.write(data)
        except ConnectionError:
            pass
        if way == 'down':
            writer.close()

    def lose(self, *ways):
        self.losing = set(ways)
        for way in ways:
            self.lost[way].clear()

    def cut(self):
        """Ends the connections on both sides, and carries everything from then on."""
        for link in self.links:
            for writer in link:
                writer.transport.abort()
        self.links.clear()
        self.losing = set()


class Managed(Client):
    """acked has the ids of the stanzas that the server has acknowledged, in order; failed what <failed/> said."""

    def __init__(self, world, name, password, resource, mechanism=None):
        super().__init__(world, name, password, resource, mechanism)
        self.use_origin_id = True
        for plugin in ('xep_0198', 'xep_0424'):
            self.register_plugin(plugin)
        self.acked, self.failed, self.receipts, self.starts = [], [], [], 0
        self.add_event_handler('stanza_acked', lambda s: (self.acked.append(s['id']), self._wake()))
        self.add_event_handler('sm_failed', lambda e: self.failed.append(e.xml))
        self.add_event_handler('receipt_received', lambda m: (self.receipts.append(m['receipt']), self._wake()))
        self.add_event_handler('session_start', self._started)
        self.add_event_handler('sm_enabled', lambda _: self._wake())
        # slixmpp 1.8.3 forgets what was not acknowledged at the moment when it asks to resume. Newer ones do not.
        self.add_event_handler('disconnected', self._remember)
        self.add_filter('out_sync', self._remind)
        self.unacked = []

    def _started(self, _):
        self.starts += 1

    def _remember(self, _):
        self.unacked = list(self['xep_0198'].unacked_queue)

    def _remind(self, stanza):
        if isinstance(stanza, Resume):
            self['xep_0198'].unacked_queue.extend(self.unacked)
        return stanza

    async def sign_in(self, timeout=15):
        self.relay = Relay(self.endpoint)
        self.endpoint = await self.relay.open()
        await super().sign_in(timeout)
        await self.until('stream management', lambda: 'stream_management' in self.features)

    async def go_on(self):
        """Connects again and resumes the session."""
        if self.is_connected():
            await asyncio.wait_for(self.disconnected, 5)
        starts = self.starts
        self.connect(self.endpoint)
        await self.wait_until('session_resumed', 10)
        must(self.starts == starts, '%s has a new session', self.name)

    async def cut(self):
        gone = self.disconnected
        self.relay.cut()
        await asyncio.wait_for(gone, 5)

    async def until(self, what, test):
        """Waits for something that events tell."""
        async def look():
            async with self.arrived:
                await self.arrived.wait_for(test)
        try:
            await asyncio.wait_for(look(), 10)
        except asyncio.TimeoutError:
            must(False, '%s: not %s', self.name, what)

    async def safe(self):
        """Returns when the server has acknowledged all that was sent before."""
        self.send("<r xmlns='urn:xmpp:sm:3'/>")  # the plugin's request_ack would overtake what waits to be sent
        await self.until('told that all is handled', lambda: self.waiting_queue.empty() and not self['xep_0198'].unacked_queue)

    async def tell(self, to, text):
        """One chat message that asks for a receipt; returns its id."""
        message = self.make_message(mto=to, mbody=text, mtype='chat')
        message['id'] = self.new_id()
        message['request_receipt'] = True
        message.send()
        return message['id']

    def said(self, sender):
        """The bodies of the messages from somebody since the last mark."""
        return [body(e) for e in self.received[self.seen:]
                if e.tag == CLIENT + 'message' and body(e) is not None and slixmpp.JID(e.get('from')).bare == sender]
