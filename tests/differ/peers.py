"""The servers that are asked, each set up so that it answers every request with what it understood of it:
X-Mirror: METHOD.TARGET.HOST.BODY. in hex, and an empty body. All of them listen on sockets in a temporary folder."""
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(SOURCE, "tests"))
from lib.server import Server, begin_afresh, build_module  # noqa: E402

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin:/sbin"


class Cserver:
    name = "cserver"

    def __init__(self, folder):
        build_module(folder, "mirror", open(f"{SOURCE}/tests/lib/modules/mirror.c", encoding="utf-8").read())
        self.server = Server(f"[listen:main]\naddress = unix:@DIR@/http.sock\n[module:mirror]\nfile = {folder}/mirror.so\n"
                             "[route:all]\nmatch = /\nhandler = mirror\n",
                             server={"workers": 1, "access_log": "off"}, limits={"max_body": "1m"})
        self.address = self.server.path("http.sock")

    def start(self):
        self.server.start()

    def stop(self):
        faults = self.server.end()
        assert not faults, "\n".join(faults)


class Peer:
    program = name = ""

    def __init__(self, folder):
        self.folder = os.path.join(folder, self.name)
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o777)
        self.address = os.path.join(self.folder, "http.sock")
        self.path = shutil.which(self.program, path=PATH)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
        return path

    def start(self):
        with open(os.path.join(self.folder, "output"), "wb") as out:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            start_new_session=True, preexec_fn=lambda: begin_afresh(True))
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as s:
                s.connect(self.address)
                return
            if self.process.poll() is not None or time.monotonic() > end:
                with open(os.path.join(self.folder, "output"), encoding="utf-8", errors="replace") as f:
                    raise RuntimeError(f"{self.name} did not start: {f.read()[-2000:]}")
            time.sleep(0.02)

    def stop(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


class Nginx(Peer):
    name = program = "nginx"

    def __init__(self, folder):
        super().__init__(folder)
        perl = "ngx_http_perl_module.so"
        self.perl = next((p for p in (f"/usr/{lib}/nginx/modules/{perl}" for lib in ("lib", "lib64", "share")) if os.path.exists(p)), None)
        self.path = self.perl and self.path

    def command(self):
        user = "user root;" if os.getuid() == 0 else ""
        conf = self.write("nginx.conf", f"""
{user} daemon off; worker_processes 1; pid {self.folder}/pid; error_log stderr crit;
load_module {self.perl};
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_buffer_size 1m; client_body_in_single_buffer on; server_tokens off; lingering_close off; lingering_timeout 100ms; client_max_body_size 0;
  client_body_temp_path {self.folder}/a; proxy_temp_path {self.folder}/b; fastcgi_temp_path {self.folder}/c;
  uwsgi_temp_path {self.folder}/d; scgi_temp_path {self.folder}/e;
  server {{
    listen unix:{self.address};
    location / {{ perl 'sub {{
      my $r = shift;
      my $say = sub {{
        my $r = shift;
        my $b = $r->variable("request_body");
        my (undef, $target) = split / /, $r->variable("request");
        $r->header_out("X-Mirror", join("", map {{ unpack("H*", defined $_ ? $_ : "") . "." }}
          $r->request_method, $target, $r->variable("host"), $b));
        $r->header_out("Content-Length", 0);
        $r->send_http_header("text/plain");
        return OK;
      }};
      return $r->has_request_body($say) ? OK : $say->($r);
    }}'; }}
  }}
}}
""")
        return [self.path, "-p", self.folder, "-c", conf]


class H2o(Peer):
    name = program = "h2o"

    def command(self):
        user = "user: root\n" if os.getuid() == 0 else ""
        conf = self.write("h2o.conf", user + f"""
num-threads: 1
listen:
  type: unix
  port: {self.address}
hosts:
  default:
    paths:
      /:
        mruby.handler: |
          Proc.new do |env|
            body = env["rack.input"] ? env["rack.input"].read : ""
            target = env["PATH_INFO"] + (env["QUERY_STRING"].to_s == "" ? "" : "?" + env["QUERY_STRING"])
            said = [env["REQUEST_METHOD"], target, env["HTTP_HOST"] || env["SERVER_NAME"], body].map do |s|
              s.to_s.bytes.map {{|b| (b < 16 ? "0" : "") + b.to_s(16) }}.join + "."
            end.join
            [200, {{"x-mirror" => said, "content-length" => "0"}}, []]
          end
""")
        return [self.path, "-m", "worker", "-c", conf]


class Node(Peer):
    name, program = "node", "node"

    def command(self):
        self.scgi = os.path.join(self.folder, "scgi.sock")
        return [self.path, os.path.join(HERE, "mirror.js"), self.address, self.scgi]


class Lighttpd(Peer):
    """Its answers come through the SCGI server of Node's."""
    name = program = "lighttpd"
    node = None

    def command(self):
        conf = self.write("lighttpd.conf", f"""
server.document-root = "{self.folder}"
server.bind = "{self.address}"
server.errorlog = "{self.folder}/errors"
server.max-keep-alive-requests = 100000
server.modules = ("mod_scgi")
server.http-parseopts = ("method-get-body" => "enable", "url-normalize" => "enable", "url-normalize-unreserved" => "disable",
    "url-normalize-required" => "disable", "url-ctrls-reject" => "disable", "url-path-2f-decode" => "disable",
    "url-path-2f-reject" => "disable", "url-path-dotseg-remove" => "disable", "url-path-dotseg-reject" => "disable",
    "url-query-20-plus" => "disable")
scgi.server = ("/" => (("socket" => "{self.node.scgi}", "check-local" => "disable", "fix-root-scriptname" => "enable")))
""")
        return [self.path, "-D", "-f", conf]


def available(folder):
    """The peers that are here, and the names of those that are not."""
    node = Node(folder)
    peers = [Nginx(folder), H2o(folder), node]
    lighttpd = Lighttpd(folder)
    lighttpd.node = node
    if node.path:
        peers.append(lighttpd)
    return [p for p in peers if p.path], [p.name for p in [*peers, lighttpd] if not p.path]
