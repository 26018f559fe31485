#!/bin/bash
# Runs one Apache Kafka node (KRaft, broker and controller in one process) beside Odradek, to compare and to
# check the tests themselves. The jars are those of tests/e2e/java/pom.xml.
#
#   kafka.sh start --data-dir DIR [--port N] [--heap 1g] [--override K=V]...
#       starts it, waits until it answers, prints one line and leaves it running:
#       kafka VERSION ready in N ms pid=P kafka=127.0.0.1:PORT data=DIR rss_kb=R
#   kafka.sh stop --data-dir DIR      asks it to end (SIGTERM), waits, prints how long that took
#   kafka.sh rss --data-dir DIR       prints rss_kb=R of the running process
#
# DIR keeps kafka.pid, server.properties, server.out and data/; a second start on the same DIR keeps the data.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
jars=$root/build-java/jars

die() {
    echo "kafka.sh: $*" >&2
    exit 1
}

# Below the ports that the kernel hands out, or a client waiting for the server could be given the server's.
free_port() {
    local port
    while :; do
        port=$((10000 + RANDOM % 20000))
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

now_ms() {
    date +%s%3N
}

fetch_jars() {
    if ! ls "$jars"/kafka_2.13-*.jar >/dev/null 2>&1; then
        mvn -q -B -ntp -f "$root/tests/e2e/java/pom.xml" dependency:copy-dependencies >&2 </dev/null
    fi
    version=$(basename "$jars"/kafka_2.13-*.jar .jar)
    version=${version#kafka_2.13-}
}

write_properties() {
    local port=$1 controller=$2 node=1 override
    for override in "${overrides[@]}"; do
        [[ $override != node.id=* ]] || node=${override#*=}     # the one voter has to be this node
    done
    cat >"$dir/server.properties" <<EOF
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$node@127.0.0.1:$controller
listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$port
controller.listener.names=CONTROLLER
log.dirs=$dir/data
num.partitions=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=5
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=5
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
EOF
    printf '%s\n' "${overrides[@]}" >>"$dir/server.properties"
}

# A process that has ended and waits for its parent is not alive.
alive() {
    [ -n "$(awk '$1 == "State:" && $2 != "Z"' "/proc/$1/status" 2>/dev/null)" ]
}

running_pid() {
    local pid
    pid=$(cat "$dir/kafka.pid" 2>/dev/null) || return 1
    [ -n "$pid" ] && alive "$pid" && echo "$pid"
}

rss_kb() {
    awk '/^VmRSS:/ { print $2 }' "/proc/$1/status"
}

start() {
    fetch_jars
    mkdir -p "$dir"
    ! running_pid >/dev/null || die "already running with data in $dir"
    [ "$port" != 0 ] || port=$(free_port)
    write_properties "$port" "$(free_port)"
    if [ ! -e "$dir/data/meta.properties" ]; then
        java -Xmx256m -cp "$jars/*" kafka.tools.StorageTool format -t 5L6g3nShT-eMCtK--X86sw \
            -c "$dir/server.properties" >"$dir/format.out" 2>&1 </dev/null || die "format failed, see $dir/format.out"
    fi
    local begin pid said
    touch "$dir/server.out"
    said=$(stat -c %s "$dir/server.out")
    begin=$(now_ms)
    setsid java -Xms"$heap" -Xmx"$heap" -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -Djava.awt.headless=true \
        -Dlog4j2.configurationFile="$here/log4j2.properties" -cp "$jars/*" \
        kafka.Kafka "$dir/server.properties" >>"$dir/server.out" 2>&1 </dev/null &
    pid=$!
    echo "$pid" >"$dir/kafka.pid"
    # The port can be open before requests are answered, so the server's own word counts.
    until tail -c "+$((said + 1))" "$dir/server.out" | grep -q 'Kafka Server started'; do
        alive "$pid" || die "ended while starting, see $dir/server.out"
        [ $(($(now_ms) - begin)) -lt 60000 ] || die "not ready after 60 s, see $dir/server.out"
        sleep 0.05
    done
    echo "kafka $version ready in $(($(now_ms) - begin)) ms pid=$pid kafka=127.0.0.1:$port data=$dir/data rss_kb=$(rss_kb "$pid")"
}

stop() {
    local pid begin
    pid=$(running_pid) || die "not running with data in $dir"
    begin=$(now_ms)
    kill -TERM "$pid"
    while alive "$pid"; do
        [ $(($(now_ms) - begin)) -lt 60000 ] || die "pid $pid still runs after 60 s"
        sleep 0.05
    done
    rm -f "$dir/kafka.pid"
    echo "kafka stopped in $(($(now_ms) - begin)) ms"
}

verb=${1:-}
[ $# -eq 0 ] || shift
dir='' port=0 heap=1g overrides=()
while [ $# -gt 0 ]; do
    case $1 in
    --data-dir) dir=$2 ;;
    --port) port=$2 ;;
    --heap) heap=$2 ;;
    --override) overrides+=("$2") ;;
    *) die "unknown option $1" ;;
    esac
    shift 2
done

case $verb in
start | stop | rss)
    [ -n "$dir" ] || die "--data-dir is missing"
    dir=$(realpath -m "$dir")
    ;;
*) die "usage: kafka.sh start|stop|rss --data-dir DIR [--port N] [--heap SIZE] [--override K=V]..." ;;
esac
case $verb in
start) start ;;
stop) stop ;;
rss)
    pid=$(running_pid) || die "not running with data in $dir"
    echo "rss_kb=$(rss_kb "$pid")"
    ;;
esac
