-- Prosody as bench/peers.sh starts it: the functions that Parley has too, and nothing that slows it down.
-- @NAME@ is filled in; what stands behind @ARCHIVE@ or @SQLITE@ counts in that variant only.
data_path = "@DIR@/data"
certificates = "@DIR@"
log = { warn = "@DIR@/log" }

network_backend = "epoll"
network_settings = { tcp_backlog = 4096 } -- 128 unless it is given
gc = { mode = "generational" } -- three to four times the messages of "incremental", its default

interfaces = { "127.0.0.1" }
c2s_ports = { @PORT@ }
c2s_direct_tls_ports = { @TLS_PORT@ }
c2s_require_encryption = false -- offered, not required
allow_unencrypted_plain_auth = true
ssl = { certificate = "@DIR@/cert.pem", key = "@DIR@/key.pem" }
c2s_stanza_size_limit = 262144

authentication = "internal_hashed"
password_hash = "SHA-256"
default_iteration_count = 4096
allow_registration = true -- and without min_seconds_between_registrations nobody waits

storage_archive_item_limit = 1000000 -- of messages kept for one account, offline too; 10,000 unless it is given
archive_expires_after = "never"
@SQLITE@default_storage = "sql"
@SQLITE@sql = { driver = "SQLite3", database = "@DIR@/prosody.sqlite" }

modules_enabled = {
	"blocklist", "carbons", "disco", "ping", "private", "register", "roster", "saslauth", "smacks", "tls",
	"vcard", "version",
	@ARCHIVE@"mam",
}
modules_disabled = { "s2s" }

VirtualHost "localhost"

Component "conference.localhost" "muc"
	muc_room_locking = false
	muc_room_default_history_length = 0
	max_history_messages = 0
