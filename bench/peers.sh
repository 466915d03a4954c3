#!/usr/bin/env bash
# Installs, starts and stops the servers that bench/compare.sh compares. See bench/README.md.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
packages=(ejabberd erlang-p1-sqlite3 prosody lua-dbi-sqlite3 lua-event jq openssl)

usage() {
	cat >&2 <<-'END'
		usage: bench/peers.sh install                                    Debian's ejabberd and prosody (as root)
		       bench/peers.sh start   DIR NAME [archive] [sqlite]        with nothing kept of before; prints its PID
		       bench/peers.sh restart DIR NAME                           with what it keeps; prints its PID
		       bench/peers.sh stop    DIR NAME
		       bench/peers.sh address NAME [none|starttls|direct]        HOST:PORT
		       bench/peers.sh versions
		NAME is ejabberd, prosody or parley; everything of theirs is in DIR/NAME. The program of Parley is DIR/parley.bin.
	END
	exit 2
}

fail() {
	echo "peers.sh: $*" >&2
	exit 1
}

# port_of NAME TLS: the three ports of a server follow each other; the peers serve the first one in clear too.
port_of() {
	local base
	case $1 in
	parley) base=5622 ;;
	ejabberd) base=5722 ;;
	prosody) base=5822 ;;
	*) usage ;;
	esac
	case $1-$2 in
	parley-none) echo $((base + 2)) ;;
	*-direct) echo $((base + 1)) ;;
	*-none | *-starttls) echo "$base" ;;
	*) usage ;;
	esac
}

installed() {
	dpkg-query -W -f '${db:Status-Status}\n' "$1" 2>/dev/null | grep -qx installed
}

# install leaves alone what is there already, services too.
install_peers() {
	local p missing=()
	for p in "${packages[@]}"; do
		installed "$p" || missing+=("$p")
	done
	[ ${#missing[@]} -gt 0 ] || return 0
	[ "$(id -u)" = 0 ] || fail "these packages are missing and only root can install them: ${missing[*]}"
	apt-get update -q >&2
	DEBIAN_FRONTEND=noninteractive apt-get install -q -y "${missing[@]}" >&2
	for p in "${missing[@]}"; do
		case $p in
		ejabberd | prosody)
			if [ -d /run/systemd/system ]; then
				systemctl disable --now "$p" >&2
			else
				service "$p" stop >&2 || true # it never ran
			fi
			;;
		esac
	done
}

# certificate makes one for all of them, once.
certificate() {
	[ -f "$dir/cert.pem" ] || openssl req -x509 -nodes -days 30 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 \
		-keyout "$dir/key.pem" -out "$dir/cert.pem" -subj /CN=localhost \
		-addext 'subjectAltName=DNS:localhost,DNS:conference.localhost' 2>/dev/null
}

# fill TEMPLATE COMMENT VARIANT…: the template for this server, on stdout.
fill() {
	local template=$1 comment=$2 word edit=(
		-e "s|@DIR@|$home|g" -e "s|@PORT@|$(port_of "$name" starttls)|g"
		-e "s|@TLS_PORT@|$(port_of "$name" direct)|g" -e "s|@CLEAR_PORT@|$(port_of "$name" none)|g")
	shift 2
	for word; do
		case $word in
		archive) edit+=(-e "s|@ARCHIVE@||; s|@NO_ARCHIVE@|$comment |") ;;
		sqlite) edit+=(-e 's|@SQLITE@||') ;;
		*) usage ;;
		esac
	done
	edit+=(-e "1,2!{ s|@NO_ARCHIVE@||; s|@[A-Z]*@|$comment | }")
	sed "${edit[@]}" "$here/$template"
}

# configure VARIANT…: a fresh directory for the server.
configure() {
	rm -rf "$home"
	mkdir -p "$home/data"
	certificate
	cp "$dir/cert.pem" "$dir/key.pem" "$home"
	case $name in
	parley) fill parley.toml '#' "$@" >"$home/parley.toml" ;;
	ejabberd) fill ejabberd.yml '#' "$@" >"$home/ejabberd.yml" ;;
	prosody) fill prosody.cfg.lua '--' "$@" >"$home/prosody.cfg.lua" ;;
	esac
	if [ "$(id -u)" = 0 ]; then
		chmod a+x "$dir" # mktemp makes it for root alone
		[ "$name" = parley ] || chown -R "$name": "$home"
	fi
}

# run becomes the server, as the user of its package when root starts it. It does not return.
run() {
	local as=()
	ulimit -n 20000 2>/dev/null || ulimit -n "$(ulimit -Hn)"
	cd "$home"
	if [ "$(id -u)" = 0 ] && [ "$name" != parley ]; then
		as=(setpriv --reuid="$name" --regid="$name" --init-groups --)
	fi
	case $name in
	parley) exec "$dir/parley.bin" server --config "$home/parley.toml" ;;
	prosody) exec "${as[@]}" prosody -F --config "$home/prosody.cfg.lua" ;;
	ejabberd) # as Debian's ejabberdctl does, without a name on the network
		export HOME=$home ERL_MAX_PORTS=65536 ERL_MAX_ETS_TABLES=2053 ERL_CRASH_DUMP_BYTES=0
		export EJABBERD_CONFIG_PATH=$home/ejabberd.yml EJABBERD_LOG_PATH=$home/ejabberd.log
		ERL_LIBS=$(dirname "$(dirname "$(dpkg -L ejabberd | grep -m1 '/ebin$')")")
		export ERL_LIBS
		exec "${as[@]}" erl -noinput +K true +P 262144 -mnesia dir "\"$home/data\"" -s ejabberd
		;;
	esac
}

# listening PORT
listening() {
	(exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# launch starts the server in the background, waits until it listens everywhere and prints its PID.
launch() {
	local tls i pid
	for tls in starttls direct none; do
		! listening "$(port_of "$name" $tls)" || fail "port $(port_of "$name" $tls) for $name is taken; who has it: ss -ltnp"
	done
	(run) </dev/null >>"$home/out" 2>&1 &
	pid=$!
	echo "$pid" >"$home/pid"
	for tls in starttls direct none; do
		for ((i = 0; ; i++)); do
			! listening "$(port_of "$name" $tls)" || break
			kill -0 "$pid" 2>/dev/null || fail "$name has ended: $(tail -n 5 "$home/out")"
			[ "$i" -lt 300 ] || fail "$name does not listen after 30 s: see $home"
			sleep 0.1
		done
	done
	echo "$pid"
}

# stop ends the server, and only a process that was started with this directory.
stop() {
	local pid i
	pid=$(cat "$home/pid" 2>/dev/null) || return 0
	rm -f "$home/pid"
	for ((i = 0; ; i++)); do
		grep -qaF "$home/" "/proc/$pid/cmdline" 2>/dev/null || return 0
		[ "$i" -ne 0 ] || kill "$pid" 2>/dev/null || return 0
		[ "$i" -ne 300 ] || kill -KILL "$pid" 2>/dev/null || return 0
		sleep 0.1
	done
}

command=${1-}
case $command-$# in
install-1) install_peers ;;
versions-1) dpkg-query -W -f '${Package} ${Version}\n' ejabberd prosody ;;
address-[23]) echo "127.0.0.1:$(port_of "$2" "${3-none}")" ;;
start-[345] | restart-3 | stop-3)
	mkdir -p "$2"
	dir=$(cd "$2" && pwd) name=$3
	home=$dir/$name
	port_of "$name" none >/dev/null
	stop
	shift 3
	case $command in
	start)
		configure "$@"
		launch
		;;
	restart) launch ;;
	esac
	;;
*) usage ;;
esac
