#!/usr/bin/env bash
# Measures this tree's Parley beside Debian's ejabberd and prosody and judges the targets. See bench/README.md.
set -euo pipefail
export LC_ALL=C

here=$(cd "$(dirname "$0")" && pwd)
all="chat1 chat8 chat8tls chat1archive chat8archive rate ratearchive fanout login logintls idle idletls offline sessions"
rows=${ROWS:-$all}
runs=${RUNS:-5}
duration=${DURATION:-10} warmup=${WARMUP:-2} # seconds
full=${FULL:-}                               # not empty: what is not judged too, once
out=${OUT:-}                                 # directory for what each run reported

declare -A pid=()          # of the servers that run
verdicts=() faults=()
estimating=1 seconds=0     # the first pass over the rows only adds up the time
row='' archive='' tls='' users=0 peers='' extra='' work=()

say() {
	echo "$*" >&2
}

# --- the rows: what is measured, and what is wanted ---------------------------------------------------------------

chat1() {
	measure chat1 '' none 1000 ejabberd prosody chat --window 1
	target 'chat W=1, archive off, no TLS, msg/s' .per_second at-least 4.5
	target 'server CPU per message, same runs, µs' .server.cpu_us at-most '1/6'
}
chat8() {
	measure chat8 '' none 1000 ejabberd prosody chat --window 8
	target 'chat W=8, archive off, no TLS, msg/s' .per_second at-least 7
}
chat8tls() {
	measure chat8tls '' starttls 1000 ejabberd prosody chat --window 8
	target 'chat W=8, archive off, STARTTLS, msg/s' .per_second at-least 5
}
chat1archive() {
	measure chat1archive archive none 1000 'ejabberd prosody' 'ejabberd+sqlite prosody+sqlite' chat --window 1
	target 'chat W=1, archive on, no TLS, msg/s' .per_second at-least 12
}
chat8archive() {
	measure chat8archive archive none 1000 'ejabberd prosody' 'ejabberd+sqlite prosody+sqlite' chat --window 8
	target 'chat W=8, archive on, no TLS, msg/s' .per_second at-least 25
}
rate() {
	measure rate '' none 1000 ejabberd prosody rate --rate 1000
	target 'latency at 1,000 msg/s, archive off, p50, ms' .latency_ms.p50 at-most 1
	target 'latency at 1,000 msg/s, archive off, p99, ms' .latency_ms.p99 at-most 1
}
ratearchive() {
	measure ratearchive archive none 1000 '' 'ejabberd prosody' rate --rate 1000
	target 'latency at 1,000 msg/s, archive on, p50, ms' .latency_ms.p50 below 1
	target 'latency at 1,000 msg/s, archive on, p99, ms' .latency_ms.p99 below 5
}
fanout() {
	measure fanout '' none 500 ejabberd prosody fanout --window 4
	target 'broadcast to 500 (peers: room of 500), deliveries/s' .per_second at-least 4
}
login() {
	measure login '' none 1000 ejabberd prosody login --window 64
	target 'login SCRAM-SHA-256, no TLS, logins/s' .per_second at-least 3
}
logintls() {
	measure logintls '' starttls 1000 ejabberd prosody login --window 64
	target 'login SCRAM-SHA-256, STARTTLS, logins/s' .per_second at-least 2
}
idle() {
	measure idle '' none 10000 '' 'ejabberd prosody' idle
	target 'idle session, 10,000 plain, resident KB' '(.server.rss_kib_per_session * 1.024)' below 8
}
idletls() {
	measure idletls '' starttls 5000 '' 'ejabberd prosody' idle
	target 'idle session, 5,000 STARTTLS, resident KB' '(.server.rss_kib_per_session * 1.024)' below 25
}
offline() {
	measure offline '' none 1000 ejabberd prosody offline
	target 'offline messages stored per second' '(.phases[] | select(.name == "stored").per_second)' at-least 2.5
	target 'offline messages delivered per second' '(.phases[] | select(.name == "delivered").per_second)' at-least 4
}
sessions() {
	measure sessions '' none 19000 parley@1000 '' chat --window 1
	target 'CPU per message at 19,000 sessions, times 1,000, µs' .server.cpu_us at-most 2.5
}

# --- measuring ----------------------------------------------------------------------------------------------------
# A label is a server, with +sqlite for that storage or @N for N users instead of the row's.

# measure ROW ARCHIVE TLS USERS PEERS EXTRA SCENARIO ARGS…: PEERS and parley take turns; EXTRA come later, once, if FULL.
measure() {
	row=$1 archive=$2 tls=$3 users=$4 peers=$5 extra=${full:+$6}
	shift 6
	work=("$@")
	local label run
	if [ -n "$estimating" ]; then
		estimate
		return
	fi
	mkdir -p "$out/$row"
	rm -f "$out/$row"/*.json # of an earlier comparison
	for label in $peers parley; do up "$label"; done
	for ((run = 1; run <= runs; run++)); do
		for label in $peers parley; do once "$label" "$run"; done
	done
	down
	for label in $extra; do
		up "$label"
		once "$label" 1
		down
	done
}

estimate() {
	local label n once=$((duration + warmup + users / 500 + 4))
	for label in $peers parley $extra; do
		n=$runs
		[[ " $extra " != *" $label "* ]] || n=1
		seconds=$((seconds + n * once + users / 300 + 6))
	done
}

# up starts the server of a label, if it does not run, and makes the accounts.
up() {
	local server=${1%@*} variant=()
	[ -z "${pid[$server]-}" ] || return 0
	[ -z "$archive" ] || variant+=("$archive")
	[[ $server != *+sqlite ]] || variant+=(sqlite)
	say "$row: start $server"
	pid[$server]=$("$here/peers.sh" start "$servers" "${server%+*}" ${variant+"${variant[@]}"})
	bench "$server" "$out/$row/$server.accounts" login --users "$users" --register --duration 1s --warmup 0s || true
}

# down stops every server.
down() {
	local server
	for server in "${!pid[@]}"; do
		"$here/peers.sh" stop "$servers" "${server%+*}"
		cp "$servers/${server%+*}/out" "$out/$row/$server.server.log" || true
	done
	pid=()
}

# once LABEL RUN: one run, and what it has to say of messages that went wrong.
once() {
	local label=$1 server=${1%@*} n=$users args=() wait=$warmup what
	local file=$out/$row/$label.$2
	[[ $label != *@* ]] || n=${label#*@}
	case ${work[0]} in
	fanout)
		args=(--via room)
		[ "$server" != parley ] || args=(--via broadcast)
		;;
	idle | offline) # memory and store as they are after a start
		pid[$server]=$("$here/peers.sh" restart "$servers" "${server%+*}")
		;;
	esac
	settle
	[ "${work[0]}" != idle ] || wait=15 # until every server has given back what signing in took
	bench "$server" "$file" "${work[@]}" ${args+"${args[@]}"} --users "$n" --duration "${duration}s" --warmup "${wait}s" || true
	what=$(jq -r '[to_entries[] | select(.key | IN("lost", "doubled", "reordered", "errors")) | select(.value != 0)
		| "\(.value) \(.key)"] | join(", ")' "$file.json" 2>/dev/null) || what=
	[ "$(jq -r type "$file.json" 2>/dev/null)" = object ] || what="no result, see $file.log"
	[ -z "$what" ] || faults+=("$row, $label, run $2: $what")
	say "$row: $label, run $2: ${what:-$(jq -r '"\(.per_second | round) \(.unit)/s"' "$file.json")}"
}

# bench SERVER FILE ARGS…: the generator against a server; FILE.json is what it reports, FILE.log what it says.
bench() {
	local server=$1 file=$2
	shift 2
	# One thread at a time: with more it spends a tenth of its work on waking them, for processors that it does not have alone.
	GOMAXPROCS=1 "$servers/parley.bin" bench "$1" "$("$here/peers.sh" address "${server%+*}" "$tls")" "${@:2}" --json --domain localhost \
		--tls "$tls" --mechanism SCRAM-SHA-256 --body 64 --sources 8 --pid "${pid[$server]}" >"$file.json" 2>"$file.log"
}

# settle waits until no server works any more on what the run before has left, 20 s at most.
settle() {
	local i now before=-1000 stats=("${pid[@]/%//stat}")
	for ((i = 0; i < 40; i++)); do
		now=$(awk '{ ticks += $14 + $15 } END { print ticks }' "${stats[@]/#//proc/}" 2>/dev/null) || true # one may have ended
		[ $((now - before)) -gt 1 ] || return 0
		before=$now
		sleep 0.5
	done
}

# --- judging ------------------------------------------------------------------------------------------------------

# target TITLE FIGURE HOW WANTED: prints the row of the table; judge.jq explains HOW. FIGURE is where a report has it.
target() {
	[ -z "$estimating" ] || return 0
	local label slow='' judged
	if [ "$row" = ratearchive ] && sync_us=$(sync_time) && [ "$sync_us" -gt 500 ]; then
		slow="the disk syncs in $sync_us µs"
	fi
	judged=$(for label in parley $peers $extra; do
		reports "$label" | jq -s --arg name "$label" "{name: \$name, values: [.[] | $2 | numbers],
			server: [.[].server.cores | numbers], generator: [.[].generator.cores | numbers],
			bound: any(.[]; .generator.bottleneck == true)}"
	done | jq -rs --arg title "$1" --arg how "$3" --arg wanted "$4" --argjson factor "$(jq -n "$4")" \
		--arg row "$row" --arg extra "$extra" --arg slow "$slow" -f "$here/judge.jq")
	tail -n +2 <<<"$judged"
	verdicts+=("$(head -n 1 <<<"$judged")")
}

# reports LABEL: what the runs reported that were made; a run without a report is a fault already.
reports() {
	local file
	for file in "$out/$row/$1".[0-9]*.json; do
		jq -c 'objects' "$file" 2>/dev/null || true
	done
}

# sync_time: microseconds that this disk takes to sync 4 KiB in a file that is long enough.
sync_time() {
	local began
	dd if=/dev/zero of="$servers/sync" bs=4k count=200 conv=fsync status=none
	began=${EPOCHREALTIME/./}
	dd if=/dev/zero of="$servers/sync" bs=4k count=200 conv=notrunc oflag=dsync status=none
	echo $(((${EPOCHREALTIME/./} - began) / 200))
}

# --- the whole ----------------------------------------------------------------------------------------------------

for row in $rows; do
	[[ " $all " == *" $row "* ]] || { say "compare.sh: there is no row $row; rows: $all" && exit 2; }
	"$row"
done
estimating=
say "About $((seconds / 60 + 1)) minutes: $rows"

"$here/peers.sh" install
servers=$(mktemp -d "${TMPDIR:-/tmp}/parley-servers.XXXXXX")
finish() {
	down || true
	rm -rf "$servers"
}
trap finish EXIT
trap 'exit 130' INT TERM
out=${out:-$(mktemp -d "${TMPDIR:-/tmp}/parley-bench.XXXXXX")}
mkdir -p "$out"
(cd "$here/.." && CGO_ENABLED=0 go build -o "$servers/parley.bin" .)
ulimit -n 20000 2>/dev/null || ulimit -n "$(ulimit -Hn)"
sync_us=$(sync_time)

echo "$(nproc) cores, $(sed -n 's/^model name.*: //p' /proc/cpuinfo | head -n 1); Linux $(uname -r); $(stat -f -c %T "$servers"),"
echo "4 KiB synced in $sync_us µs; $("$here/peers.sh" versions | paste -sd ';' | sed 's/;/, /g'),"
echo "parley $(git -C "$here" rev-parse --short HEAD 2>/dev/null || echo '?'). $runs runs each, in turn; medians (least–most); cores: server + generator."
echo
echo '| work | wanted | measured | Parley | peers | cores | |'
echo '| --- | --- | --- | --- | --- | --- | --- |'
for row in $rows; do "$row"; done

echo
printf '%s\n' "${verdicts[@]}"
[ ${#faults[@]} = 0 ] || printf 'fail: %s\n' "${faults[@]}"
say "What each run reported: $out"
[ ${#faults[@]} = 0 ] && ! printf '%s\n' "${verdicts[@]}" | grep -q '^fail'
