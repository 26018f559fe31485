"""Programs of others that no client library is: unpacked from Debian's packages into build-apps (tools/install-deps),
not installed, since some of them are daemons that would take the machine's own place. Run as children of a test.

build-apps/root holds what the packages hold, build-apps/versions says `package version` of each.
"""

import os
import re
import signal
import subprocess
import time

from harness.jvm import JARS
from harness.target import ROOT, file_tail

BUILD = os.path.join(ROOT, "build-apps")
FILES = os.path.join(BUILD, "root")
LIBRARIES = os.path.join(FILES, "usr", "lib", "x86_64-linux-gnu")
# What a test needs -> Debian's package with it, and who unpacks that.
PACKAGES = {"rsyslog": ("rsyslog-kafka", "test"), "syslog-ng": ("syslog-ng-mod-rdkafka", "test"),
            "burrow": ("burrow", "test"), "collectd": ("collectd-core", "test"),
            "lua-nginx-kafka": ("lua-nginx-kafka", "test"),
            "clickhouse": ("clickhouse-server", "suites")}


def versions():
    """package -> version, of what is unpacked."""
    try:
        with open(os.path.join(BUILD, "versions")) as file:
            return dict(line.split() for line in file)
    except FileNotFoundError:
        return {}


def missing(need):
    """Why a test that needs this cannot run, or None."""
    package, who = PACKAGES[need]
    return None if package in versions() else f"Debian's {package} is not unpacked (tools/install-deps {who})"


def name_and_version(need):
    """For people: `rsyslog 8.2302.0`, without what Debian adds to the version."""
    version = versions()[PACKAGES[need][0]]
    return f"{need} {re.split(r'[-+]', version)[0]}"


def path(*parts):
    return os.path.join(FILES, *parts)


def environment():
    more = [LIBRARIES, path("lib", "x86_64-linux-gnu"), path("usr", "lib", "syslog-ng")]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(more), "LC_ALL": "C.UTF-8"}


class Daemon:
    """A program that runs until the `with` is left; its output is in out_path."""

    def __init__(self, out_path, *command, timeout_s=20):
        self.out_path, self.timeout_s = out_path, timeout_s
        with open(out_path, "ab") as out:
            self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=out, env=environment(), cwd=os.path.dirname(out_path))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Asks it to end, and kills it when it does not; returns its exit code, negative for a signal's number."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(self.timeout_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def output(self):
        return file_tail(self.out_path, 3000)

    def wait_until(self, condition, what, timeout_s=20):
        """Calls condition again and again until it is true, and returns what it returned."""
        deadline = time.monotonic() + timeout_s
        while True:
            value = condition()
            if value:
                return value
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"{what}: not after {timeout_s} s, exit code {self.process.poll()}\n{self.output()}")
            time.sleep(0.05)


def rsyslogd(folder, config):
    """rsyslog with this configuration; it remembers what it has read in folder."""
    config_path = os.path.join(folder, "rsyslog.conf")
    with open(config_path, "w") as file:
        file.write(f'global(workDirectory="{folder}" maxMessageSize="64k")\n{config}')
    return Daemon(os.path.join(folder, "rsyslog.out"), path("usr", "sbin", "rsyslogd"), "-n", "-f", config_path,
                  "-i", os.path.join(folder, "rsyslog.pid"), "-M", os.path.join(LIBRARIES, "rsyslog"))


def syslog_ng(folder, config):
    config_path = os.path.join(folder, "syslog-ng.conf")
    with open(config_path, "w") as file:
        file.write(f"@version: 3.38\noptions {{ stats-freq(0); }};\n{config}")
    in_folder = {option: os.path.join(folder, name) for option, name in
                 [("-R", "persist"), ("-p", "pid"), ("-c", "control")]}
    return Daemon(os.path.join(folder, "syslog-ng.out"), path("usr", "sbin", "syslog-ng"), "-F", "-e", "-f", config_path,
                  *[part for pair in in_folder.items() for part in pair],
                  f"--module-path={path('usr', 'lib', 'syslog-ng', '3.38')}")


def nginx_with_lua(folder, port, script):
    """nginx that answers each request with what the Lua script says."""
    config_path = os.path.join(folder, "nginx.conf")
    modules = "".join(f"load_module {path('usr', 'lib', 'nginx', 'modules', name)};\n"
                      for name in ("ndk_http_module.so", "ngx_http_lua_module.so"))
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n"
                        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;\n" if os.geteuid() == 0 else ""
    with open(config_path, "w") as file:
        file.write(f"""{modules}{user}daemon off; master_process off; error_log stderr; pid {folder}/nginx.pid;
events {{ worker_connections 64; }}
http {{
  access_log off;
  {temporary}
  lua_package_path "{path('usr', 'share', 'lua', '5.1')}/?.lua;;";
  lua_package_cpath "{os.path.join(LIBRARIES, 'lua', '5.1')}/?.so;;";
  server {{ listen 127.0.0.1:{port}; location / {{ content_by_lua_block {{
{script}
  }} }} }}
}}
""")
    return Daemon(os.path.join(folder, "nginx.out"), path("usr", "sbin", "nginx"), "-p", folder, "-c", config_path)


def collectd(folder, config):
    config_path = os.path.join(folder, "collectd.conf")
    with open(config_path, "w") as file:
        file.write(f"""BaseDir "{folder}"
PIDFile "{folder}/collectd.pid"
PluginDir "{path("usr", "lib", "collectd")}"
TypesDB "{path("usr", "share", "collectd", "types.db")}"
{config}""")
    return Daemon(os.path.join(folder, "collectd.out"), path("usr", "sbin", "collectd"), "-f", "-C", config_path)


def zookeeper(folder, port):
    """Burrow 1.2 keeps its own notes in one. Started as a class, from Debian's jar; Kafka's jars have what it logs with."""
    config_path = os.path.join(folder, "zookeeper.cfg")
    with open(config_path, "w") as file:
        file.write(f"tickTime=2000\ndataDir={folder}/zookeeper\nclientPort={port}\nclientPortAddress=127.0.0.1\n"
                   "admin.enableServer=false\n")
    jars = [path("usr", "share", "java", f"{name}.jar") for name in ("zookeeper", "zookeeper-jute", "metrics-core")]
    jars += [os.path.join(JARS, name) for name in sorted(os.listdir(JARS)) if name.startswith(("slf4j-api", "snappy"))]
    return Daemon(os.path.join(folder, "zookeeper.out"), "java", "-Xmx64m", "-XX:+UseSerialGC",
                  "-XX:TieredStopAtLevel=1", "-Dzookeeper.jmx.log4j.disable=true", "-cp", ":".join(jars),
                  "org.apache.zookeeper.server.ZooKeeperServerMain", config_path)


CLICKHOUSE_USERS = """<yandex>
<profiles><default><stream_flush_interval_ms>500</stream_flush_interval_ms></default></profiles>
<users><default><password></password><networks><ip>127.0.0.1</ip></networks><profile>default</profile>
<quota>default</quota></default></users>
<quotas><default></default></quotas>
</yandex>
"""


def clickhouse(folder, http_port):
    """A server with its data in folder."""
    paths = "".join(f"<{name}>{folder}/clickhouse/{at}/</{name}>" for name, at in
                    [("path", "data"), ("tmp_path", "tmp"), ("user_files_path", "files"), ("format_schema_path", "schema")])
    os.makedirs(os.path.join(folder, "clickhouse"), exist_ok=True)
    config_path = os.path.join(folder, "clickhouse", "config.xml")
    with open(config_path, "w") as file:
        file.write(f"""<yandex><logger><level>warning</level><console>1</console></logger>
<http_port>{http_port}</http_port><listen_host>127.0.0.1</listen_host>{paths}
<users_config>{folder}/clickhouse/users.xml</users_config>
<default_profile>default</default_profile><default_database>default</default_database>
<kafka><auto_offset_reset>earliest</auto_offset_reset></kafka>
<mark_cache_size>5368709</mark_cache_size></yandex>""")
    with open(os.path.join(folder, "clickhouse", "users.xml"), "w") as file:
        file.write(CLICKHOUSE_USERS)
    return Daemon(os.path.join(folder, "clickhouse.out"), path("usr", "sbin", "clickhouse-server"),
                  f"--config-file={config_path}", timeout_s=60)
