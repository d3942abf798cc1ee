# ruff: noqa: E501 - markup reads better unbroken
"""A small product behind web pages in several markups, for tests of the browser side only.

``Product`` is the state; a skin turns it into pages. No two skins share markup: they were written to be
different from each other, not to look like the real product.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape

import tornado.web

STEPS = ("Pre-HA Registration", "Database Replication", "Post HA Registration")
NOTHING = "<tr><td>No data"
PROGRESS = ((30, 0, 0), (100, 10, 0), (100, 60, 0), (100, 100, 50), (100, 100, 100))


@dataclass
class Product:
    """What the pages show and change. ``heard`` is the truth of what arrived, in order."""

    user: str = "root"
    password: str = "Pa55 & word"
    key: str = "k3y-Secret"
    known: dict[str, str] = field(default_factory=lambda: {"198.51.100.7": "ise-Secret"})
    ise: dict[str, str] = field(default_factory=dict)
    stage: int = -1
    message: str = ""
    fail_at: int = 99
    sessions: set[str] = field(default_factory=set)
    expire_after: int = 10**9
    requests: int = 0
    readiness: tuple[tuple[str, str], ...] = (
        ("CPU count", "Passed"),
        ("Disk speed", "Failed"),
        *((name, "Passed") for name in ("RAM", "Disk size", "Reachability", "Operating system", "Port 1522")),
    )
    login_says: str = "Invalid user name or password"
    rewrite: tuple[tuple[str, str], ...] = ()
    heard: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def mode(self) -> str:
        return "Primary Active" if self.stage >= len(PROGRESS) - 1 else "HA not Configured"

    def percents(self) -> tuple[int, ...]:
        return PROGRESS[min(self.stage, len(PROGRESS) - 1)] if self.stage >= 0 else ()

    def advance(self) -> None:
        """Each look at the state moves a registration on."""
        if 0 <= self.stage < len(PROGRESS) - 1 and self.stage < self.fail_at:
            self.stage += 1
            if self.stage == self.fail_at:
                self.message = "Registration failed: Database Replication could not be completed"

    def register(self, fields: dict[str, str]) -> str:
        self.heard.append(("register", fields))
        if fields.get("key") != self.key:
            self.message = (
                "Authentication key does not match between primary 198.51.100.1 and secondary servers 198.51.100.2"
            )
            return self.message
        self.stage, self.message = 0, ""
        return ""

    def add_ise(self, fields: dict[str, str]) -> str:
        self.heard.append(("add_ise", fields))
        address = fields["address"]
        if address in self.ise:
            return f"ISE server {address} already exists"
        if len(self.ise) >= 2:
            return "A maximum of two ISE servers can be added"
        if address not in self.known:
            return f"Server {address} is not reachable"
        if self.known[address] != fields["password"]:
            return "HTTP 401 Unauthorized from the ISE server"
        self.ise[address] = "Reachable"
        return ""

    def remove_ise(self, address: str) -> None:
        self.heard.append(("remove_ise", {"address": address}))
        self.ise.pop(address, None)


Page = Callable[[Product, str, dict[str, str]], str]


class Handler(tornado.web.RequestHandler):
    """Keeps the session; everything else is the skin's."""

    def initialize(self, product: Product, login: Page, page: Page) -> None:
        self.product = product
        self.login = lambda *given: self.rewritten(login(*given))
        self.page = lambda *given: self.rewritten(page(*given))

    def rewritten(self, text: str) -> str:
        for old, new in self.product.rewrite:
            text = text.replace(old, new)
        return text

    def prepare(self) -> None:
        self.product.requests += 1
        if self.product.requests > self.product.expire_after:
            self.product.sessions.clear()
            self.product.expire_after = 10**9

    def fields(self) -> dict[str, str]:
        if self.request.headers.get("Content-Type", "").startswith("application/json"):
            return {key: str(value) for key, value in json.loads(self.request.body).items()}
        return {key: self.get_body_argument(key, strip=False) for key in self.request.body_arguments}

    def inside(self) -> bool:
        return self.get_cookie("sid", "") in self.product.sessions

    def get(self, path: str) -> None:
        if self.inside():
            self.finish(self.page(self.product, path, {}))
        elif path.startswith("api/"):
            self.set_status(403)
            self.finish("{}")
        else:
            self.finish(self.login(self.product, "", {}))

    def post(self, path: str) -> None:
        fields = self.fields()
        if path == "login":
            self.product.heard.append(("login", fields))
            if (fields.get("user"), fields.get("password")) == (self.product.user, self.product.password):
                sid = f"s{self.product.requests}"
                self.product.sessions.add(sid)
                self.set_cookie("sid", sid, secure=True, httponly=True)
                self.redirect("/")
            else:
                self.finish(self.login(self.product, self.product.login_says, fields))
        elif self.inside():
            self.finish(self.page(self.product, path, {"post": "1", **fields}))
        else:
            self.finish(self.login(self.product, "", {}))


def application(product: Product, skin: str | tuple[Page, Page]) -> tornado.web.Application:
    login, page = SKINS[skin] if isinstance(skin, str) else skin
    settings = {"product": product, "login": login, "page": page}
    return tornado.web.Application([(r"/(.*)", Handler, settings)])


def html(body: str, head: str = "") -> str:
    return f"<!doctype html><meta charset=utf-8><title>Management</title>{head}<body>{body}"


# -- skin one: labels for everything, a menu that opens under the pointer, whole pages, a confirm ---


def plain_login(product: Product, says: str, fields: dict[str, str]) -> str:
    return html(
        f"""<h1>Welcome</h1><p>{escape(says)}</p><form method=post action=/login>
        <label for=a>User Name</label><input id=a name=user autocomplete=off>
        <label for=b>Password</label><input id=b name=password type=password>
        <button>Login</button></form>"""
    )


PLAIN_MENU = """<style>nav ul ul{display:none;position:absolute;background:#fff;z-index:5}
nav li:hover>ul{display:block} nav>ul>li{display:inline-block;padding:6px}</style>
<nav><ul><li><span>Monitor</span><ul><li><a href=/x>Settings</a></ul>
<li><a href='#'>Administration</a><ul>
 <li><a href='#'>Settings</a><ul><li><a href=/ha>High Availability</a><li><a href=/x>Mail Server</a></ul>
 <li><a href='#'>Servers</a><ul><li><a href=/ise>ISE Servers</a><li><a href=/x>MSE Servers</a></ul></ul>
<li><a href=/logout>Log Out</a></ul></nav><hr>"""


def plain_page(product: Product, path: str, fields: dict[str, str]) -> str:
    says = ""
    if path == "ha" and fields.get("post"):
        if fields.get("do") == "Register":
            says = product.register(fields)
        else:
            product.heard.append(("readiness", fields))
            rows = "".join(f"<tr><td>{n}<td>{s}<td>measured" for n, s in product.readiness)
            return html(
                PLAIN_MENU + f"<table><tr><th>Check<th>Status<th>Detail{rows}</table>" + plain_form(product, fields)
            )
        return html(
            PLAIN_MENU
            + f"<p class=m>{escape(says)}</p>"
            + (plain_form(product, fields) if says else plain_status(product))
        )
    if path == "ha":
        product.advance()
        return html(PLAIN_MENU + plain_status(product))
    if path == "haconf":
        return html(PLAIN_MENU + plain_form(product, fields))
    if path == "ise":
        return html(PLAIN_MENU + plain_ise(product, fields))
    return html(PLAIN_MENU + "<h2>Dashboard</h2><p>No errors in the last hour</p>")


def plain_status(product: Product) -> str:
    bar = "".join(f"<tr><td>{n}</td><td>{p}%</td></tr>" for n, p in zip(STEPS, product.percents(), strict=False))
    return f"""<h2>High Availability</h2><a href=/ha>HA Status</a> <a href=/haconf>HA Configuration</a>
      <p><b>Configuration Mode:</b> {product.mode}</p><table>{bar}</table><p>{escape(product.message)}</p>"""


def plain_form(product: Product, fields: dict[str, str]) -> str:
    val = {key: escape(text, quote=True) for key, text in fields.items()}
    return f"""<h2>HA Configuration</h2><form method=post action=/ha>
    <div><label for=s>Secondary Server <em>*</em></label><input id=s name=secondary value="{val.get("secondary", "")}"></div>
    <div><label for=k>Authentication Key</label><input id=k name=key type=password></div>
    <div><label for=e>Email Address</label><textarea id=e name=email>{val.get("email", "")}</textarea></div>
    <div><label for=f>Failover Type</label><select id=f name=failover><option>Automatic<option>Manual</select></div>
    <fieldset><legend>Virtual IP</legend><label><input type=checkbox name=vip
      onchange="document.getElementById('v').hidden=!this.checked"> Enable Virtual IP</label>
      <div id=v hidden><label>IPV4 Virtual IP <input name=v4></label> <label>IPV6 Virtual IP <input name=v6></label></div>
    </fieldset>
    <button name=do value=Check>Check Readiness</button>
    <button name=do value=Register onclick="return confirm('Are you sure you want to register?')">Register</button>
    <a href=/x>Cancel</a></form>"""


def plain_ise(product: Product, fields: dict[str, str]) -> str:
    says = ""
    if fields.get("save"):
        says = product.add_ise(fields)
    elif fields.get("command") == "add":
        return """<h2>Add ISE Server</h2><form method=post><input type=hidden name=save value=1>
        <p><label for=i>Server Address</label><input id=i name=address><p><label for=u>Username</label><input id=u name=user>
        <p><label for=p>Password</label><input id=p type=password name=password>
        <p><label for=q>Confirm Password</label><input id=q type=password name=again>
        <p><button>Save</button><button>Cancel</button></form>"""
    elif fields.get("command") == "del":
        product.remove_ise(fields.get("row", ""))
    rows = "".join(
        f"<tr><td><input type=checkbox name=row value={a}><td>{a}<td>443<td>{s}" for a, s in product.ise.items()
    )
    return f"""<h2>ISE Servers</h2><p role=alert>{escape(says)}</p><form method=post>
    <select name=command aria-label="Select a command"><option value="">-- Select a command --<option value=add>Add ISE Server
    <option value=del>Delete ISE Server(s)</select>
    <button onclick="return this.form.command.value!='del'||confirm('Delete the selected server?')">Go</button>
    <table><tr><th><th>Server Address<th>Port<th>Status</tr>{rows or NOTHING}</table></form>"""


# -- skin two: layout tables, captions in cells, links over pages, radio buttons, pictures as buttons ---


def table_login(product: Product, says: str, fields: dict[str, str]) -> str:
    return html(
        f"""<form method=post action=/login><table><tr><td colspan=2><font color=red>{escape(says)}</font></td></tr>
    <tr><td align=right>User&nbsp;name :</td><td><input name=user></td></tr>
    <tr><td align=right>Password :</td><td><input name=password type=password></td></tr>
    <tr><td></td><td><input type=submit value="Sign In"></td></tr></table></form>"""
    )


def table_frame(body: str) -> str:
    menu = "<a href=/home>Home</a> | <a href=/adm>Administration</a> | <a href=/bye>Sign out</a>"
    return html(f"<table width=100%><tr><td>{menu}</td></tr><tr><td>{body}</td></tr></table>")


def table_page(product: Product, path: str, fields: dict[str, str]) -> str:
    if path == "adm":
        return table_frame("<a href=/set>Settings</a><br><a href=/srv>Servers</a>")
    if path == "set":
        return table_frame("<ul><li><a href=/mail>Mail</a><li><a href=/ha>High availability</a></ul>")
    if path == "srv":
        return table_frame("<ul><li><a href=/ise>ISE servers</a></ul>")
    if path == "ise":
        return table_frame(table_ise(product, fields))
    if path in ("ha", "haconf"):
        return table_frame(table_ha(product, path, fields))
    return table_frame("<h3>Home</h3>")


def table_ha(product: Product, path: str, fields: dict[str, str]) -> str:
    product.advance()
    says = table = ""
    if fields.get("act.x") and fields.get("post"):
        says = product.register(fields)
    elif fields.get("ready"):
        product.heard.append(("readiness", fields))
        rows = "".join(f"<tr><td>{n}</td><td><img alt={s} width=9 height=9></td></tr>" for n, s in product.readiness)
        table = f"<table border=1><tr><td><b>Item</b></td><td><b>Result</b></td></tr>{rows}</table>"
    names = "".join(f"<td>{name}</td>" for name in STEPS)
    cells = "".join(f"<td>{p} %</td>" for p in product.percents())
    bar = f"<table border=1><tr>{names}</tr><tr>{cells}</tr></table>" if cells else ""
    status = f"""<table><tr><td>Configuration Mode</td><td>{product.mode}</td></tr>
      <tr><td>Failover Type</td><td>Manual</td></tr></table>{bar}<b>{escape(says or product.message)}</b>
      <p><a href=/ha>Status</a> &middot; <a href=/haconf>HA Configuration</a></p>"""
    if path == "ha":
        return status
    return f"""{status}{table}<form method=post><table>
      <tr><td>Secondary Server*</td><td><input name=secondary value="{escape(fields.get("secondary", ""))}"></td></tr>
      <tr><td>Authentication Key*</td><td><a href=#><img alt=Help width=8 height=8></a> <input name=key></td></tr>
      <tr><td>E-mail address</td><td><input name=email></td></tr>
      <tr><td>Failover Type</td><td><input type=radio name=failover value=Automatic checked>Automatic
          <input type=radio name=failover value=Manual>Manual</td></tr>
      <tr><td>Enable Virtual IP</td><td><input type=checkbox name=vip></td></tr>
      <tr><td>IPv4 virtual IP</td><td>IPv6 virtual IP</td></tr>
      <tr><td><input name=v4></td><td><input name=v6></td></tr>
      </table><input type=submit name=ready value="Check readiness">
      <input type=image name=act alt=Register width=60 height=20></form>"""


def table_ise(product: Product, fields: dict[str, str]) -> str:
    says = ""
    if "address" in fields:
        says = product.add_ise(fields)
    if fields.get("cmd") == "1":
        return """<form method=post><table><tr><td>IP Address</td><td>User</td></tr>
        <tr><td><input name=address></td><td><input name=user></td></tr>
        <tr><td>Password</td><td>Confirm password</td></tr>
        <tr><td><input type=password name=password></td><td><input type=password name=again></td></tr></table>
        <input type=submit value=Save> <input type=reset value=Reset></form>"""
    if fields.get("cmd") == "2":
        product.remove_ise(fields.get("row", ""))
    rows = "".join(
        f"<tr><td><input type=radio name=row value={a}></td><td>ise</td><td>{a}</td><td><img alt=Up width=9 height=9></td></tr>"
        for a in product.ise
    )
    return f"""<form method=post>Select a command <select name=cmd><option value=0><option value=1>Add ISE Server
      <option value=2>Delete ISE Server</select> <input type=submit value=GO>
      <table border=1><tr><td><b>Pick</b></td><td><b>Name</b></td><td><b>IP Address</b></td><td><b>State</b></td></tr>
      {rows or NOTHING}</table></form><font color=red>{escape(says)}</font>"""


# -- skin three: one page, ARIA widgets in an iframe, everything late, dialogues ---------------------


def aria_login(product: Product, says: str, fields: dict[str, str]) -> str:
    script = f"""<div id=app></div><script>setTimeout(() => {{
      app.innerHTML = `<div role=status>{escape(says)}</div>
      <input placeholder="Username" id=u><input placeholder="Password" type=password id=p>
      <div role=button tabindex=0 id=go>Log in</div>`;
      go.onclick = () => {{ const f = document.createElement('form'); f.method='post'; f.action='/login';
        for (const [n, e] of [['user', u], ['password', p]]) {{ const i = document.createElement('input');
          i.type='hidden'; i.name=n; i.value=e.value; f.append(i); }} document.body.append(f); f.submit(); }};
    }}, 250)</script>"""
    return html(script)


def aria_page(product: Product, path: str, fields: dict[str, str]) -> str:
    if path.startswith("api/"):
        return json.dumps(aria_api(product, path, fields))
    if path == "inner":
        return html("<div id=app></div>" + ARIA_INNER)
    return html(ARIA_OUTER)


def aria_api(product: Product, path: str, fields: dict[str, str]) -> object:
    if path == "api/ha":
        product.advance()
        return {"mode": product.mode, "percents": product.percents(), "message": product.message}
    if path == "api/register":
        return {"error": product.register(fields)}
    if path == "api/ready":
        product.heard.append(("readiness", fields))
        return product.readiness
    if path == "api/ise/add":
        return {"error": product.add_ise(fields)}
    if path == "api/ise/del":
        product.remove_ise(fields["address"])
    return list(product.ise.items())


ARIA_OUTER = """<style>[hidden]{display:none}</style>
<div><button aria-label="Toggle navigation" onclick="m.hidden=!m.hidden">&#9776;</button> <span>Management</span></div>
<ul id=m role=menu hidden>
 <li role=menuitem aria-haspopup=true tabindex=0 onclick="s.hidden=!s.hidden">Administration</li>
 <li id=s hidden role=none><ul role=menu>
  <li role=none>Settings</li><li role=menuitem onclick="show('ha')">High Availability</li>
  <li role=none>Servers</li><li role=menuitem onclick="show('ise')">ISE Servers</li></ul></li></ul>
<iframe id=f style="width:1200px;height:800px;border:0"></iframe>
<script>function show(w){m.hidden=true;s.hidden=true;
 setTimeout(()=>{f.src='/inner?'+Math.random()+'#'+w},150)}</script>"""

ARIA_INNER = """<style>.r{display:flex;gap:10px;margin:8px}.c{width:200px}
.o{position:fixed;inset:0;background:#0006}.d{background:#fff;margin:100px;padding:20px;width:500px}
[role=progressbar]{background:#ddd;height:10px;width:200px} .st{display:inline-block;width:250px}</style><script>
const $ = (id) => document.getElementById(id);
const post = (u, b) => fetch('/api/' + u, {method:'POST', headers:{'Content-Type':'application/json'}, body:JSON.stringify(b)})
  .then(r => r.ok ? r.json() : (top.location = '/', new Promise(() => {})));
const get = (u) => fetch('/api/' + u).then(r => r.ok ? r.json() : (top.location = '/', new Promise(() => {})));
const late = (fn) => setTimeout(fn, 300);
const ask = (text, buttons, then) => { const o = document.createElement('div'); o.className='o';
  o.innerHTML = `<div class=d role=dialog aria-modal=true aria-label=Question><div>${text}</div>` +
    buttons.map(b => `<span role=button tabindex=0>${b}</span> `).join('') + '</div>';
  o.querySelectorAll('[role=button]').forEach(b => b.onclick = () => { o.remove(); then && then(b.textContent); });
  document.body.append(o); };
const combo = (id, options, first) => `<div class=x><div role=combobox tabindex=0 aria-labelledby=l${id} id=${id}
  style="border:1px solid;width:180px;height:20px" onclick="drop('${id}', '${options.join('|')}')">${first}</div></div>`;
function drop(id, options) { const l = document.createElement('div'); l.setAttribute('role','listbox');
  l.innerHTML = options.split('|').map(o => `<div role=option>${o}</div>`).join('');
  late(() => { document.body.append(l);
  l.querySelectorAll('[role=option]').forEach(o => o.onclick = () => { $(id).textContent = o.textContent; l.remove(); }); }); }
const row = (id, name, inner) => `<div class=r><div class=c id=l${id}>${name}</div>${inner}</div>`;
const field = (id, name, type='text') => row(id, name, `<input id=${id} type=${type} style="width:200px">`);
async function ha() { const d = await get('ha'); late(() => {
  app.innerHTML = `<div role=tablist><span role=tab aria-selected=true>HA Status</span> <span role=tab id=tc>HA Configuration</span></div>
  <div class=r><div class=c>Configuration Mode</div><div>${d.mode}</div></div><div aria-live=polite>${d.message}</div>
  <div>` + d.percents.map((p, i) => `<div class=st><div>${['Pre-HA Registration','Database Replication','Post HA Registration'][i]}</div>
    <div role=progressbar aria-valuenow=${p} aria-valuemin=0 aria-valuemax=100></div></div>`).join('') + '</div>';
  tc.onclick = () => late(conf); }); }
function conf() { app.innerHTML = `<h2>Set up</h2>` + field('sec','Secondary Server') + field('key','Authentication Key','password') +
  field('mail','Email Address') + row('fo','Failover Type',combo('fo',['Automatic','Manual'],'Automatic')) +
  row('vi','Enable Virtual IP','<span role=checkbox aria-checked=false aria-labelledby=lvi id=vi tabindex=0 style="width:16px;height:16px;border:1px solid"></span>') +
  `<div id=v></div><div role=alert id=say></div><div role=button tabindex=0 id=chk>Check Readiness</div>
   <div role=button tabindex=0 id=reg>Register</div>`;
  vi.onclick = () => { const on = vi.getAttribute('aria-checked') !== 'true'; vi.setAttribute('aria-checked', on);
    late(() => v.innerHTML = on ? field('v4','IPV4 Virtual IP') + field('v6','IPV6 Virtual IP') : ''); };
  const data = () => ({secondary: sec.value, key: key.value, email: mail.value, failover: fo.textContent,
    vip: vi.getAttribute('aria-checked'), v4: ($('v4')||{}).value || '', v6: ($('v6')||{}).value || ''});
  chk.onclick = async () => { const items = await post('ready', data());
    const draw = (n) => `<div role=grid>` + items.map(([a, s], i) => `<div role=row><span role=gridcell>${a}</span> <span role=gridcell>${i < n ? s : 'In progress'}</span></div>`).join('') + '</div>';
    ask('<div id=tbl>' + draw(0) + '</div>', ['Close']); let n = 0;
    const t = setInterval(() => { if (!$('tbl')) return clearInterval(t); $('tbl').innerHTML = draw(++n); if (n >= items.length) clearInterval(t); }, 250); };
  reg.onclick = () => ask('Registration takes long. Do you want to continue?', ['No', 'Yes'], async (b) => { if (b !== 'Yes') return;
    const r = await post('register', data()); if (r.error) say.textContent = r.error; else ha(); });
}
async function ise() { const list = await get('ise'); late(() => {
  app.innerHTML = '<h2>ISE Servers</h2>' + row('cmd','Select a command',combo('cmd',['Add ISE Server','Delete ISE Server'],'')) +
  `<div role=button tabindex=0 id=go>Go</div><div role=table><div role=row><span role=columnheader>Select</span>
   <span role=columnheader>Server Address</span> <span role=columnheader>Status</span></div>` +
   list.map(([a, s]) => `<div role=row><span role=cell><span role=checkbox aria-checked=false data-a=${a} style="display:inline-block;width:16px;height:16px;border:1px solid"></span></span>
     <span role=cell>${a}</span> <span role=cell>${s}</span></div>`).join('') + '</div>';
  document.querySelectorAll('[data-a]').forEach(b => b.onclick = () => b.setAttribute('aria-checked', true));
  go.onclick = () => { if ($('cmd').textContent.startsWith('Add')) late(add); else { const b = document.querySelector('[aria-checked=true]');
    ask('Delete the server?', ['Cancel', 'OK'], async (x) => { if (x === 'OK') { await post('ise/del', {address: b.dataset.a}); ise(); } }); } };
  }); }
function add() { const o = document.createElement('div'); o.className='o'; o.innerHTML = `<div class=d role=dialog aria-modal=true aria-label="Add ISE Server">` +
  field('ia','IP Address') + field('iu','User Name') + field('ip','Password','password') + field('iq','Confirm Password','password') +
  `<div role=alert id=isay></div><button id=isv>Save</button><button>Cancel</button></div>`; document.body.append(o);
  isv.onclick = async () => { const r = await post('ise/add', {address: ia.value, user: iu.value, password: ip.value});
    if (r.error) isay.textContent = r.error; else { o.remove(); ise(); } }; }
({'#ise': ise, '#conf': conf}[location.hash] || ha)();
</script>"""

# -- skin four: another language, captions above the fields, no roles, everything in shadow roots -------

WORDS_SCRIPT = """<style>body{font:14px sans-serif}</style><x-app></x-app><script>
const post = (u, b) => fetch('/api/' + u, {method:'POST', headers:{'Content-Type':'application/json'}, body:JSON.stringify(b)}).then(r => r.ok ? r.json() : (location = '/', new Promise(() => {})));
const get = (u) => fetch('/api/' + u).then(r => r.ok ? r.json() : (location = '/', new Promise(() => {})));
const CSS = `<style>.p{cursor:pointer;color:#036}.b{cursor:pointer;display:inline-block;border:1px solid;padding:3px}
 .g{display:grid;grid-template-columns:1fr 1fr;width:800px;gap:4px 20px} .t{position:fixed;right:5px;top:5px}
 .list{position:absolute;background:#fff;border:1px solid} td{padding:4px}</style>`;
class App extends HTMLElement {
  connectedCallback() { this.attachShadow({mode:'open'}); this.draw('<h3>概览</h3>'); }
  $(q) { return this.shadowRoot.querySelector(q); }
  draw(inner) {
    this.shadowRoot.innerHTML = CSS + `<div><span class=p id=adm>管理</span></div><div id=sub></div><hr><div id=main>${inner}</div>`;
    this.$('#adm').onclick = () => { this.$('#sub').innerHTML = '<b>设置</b> <span class=p id=m1>高可用性</span> <b>服务器</b> <span class=p id=m2>ISE 服务器</span>';
      this.$('#m1').onclick = () => this.ha(); this.$('#m2').onclick = () => this.ise(); };
  }
  say(text) { const t = document.createElement('div'); t.className = 't'; t.textContent = text; this.shadowRoot.append(t); }
  async ha() { const d = await get('ha'); this.draw(`<span class=p id=conf>高可用性配置</span><p>配置模式：${d.mode}</p>` +
      d.percents.map((p, i) => `<p>${['高可用性预注册', '数据库复制', '高可用性后注册'][i]}</p><p>${p}%</p>`).join(''));
    if (d.message) this.say(d.message); this.$('#conf').onclick = () => this.form(); }
  form() { this.draw(`<div class=g><div>辅助服务器</div><div>验证密钥</div><input id=s><input id=k type=password>
      <div>电子邮件地址</div><div>故障切换类型</div><input id=e><div><span class=b id=f>自动</span></div></div>
      <p><input type=checkbox id=v> 启用虚拟 IP</p><span class=b id=c>检查就绪</span> <span class=b id=r>注册</span><div id=out></div>`);
    const data = () => ({secondary: this.$('#s').value, key: this.$('#k').value, email: this.$('#e').value, failover: this.$('#f').textContent === '手动' ? 'Manual' : 'Automatic'});
    this.$('#f').onclick = () => { const l = document.createElement('div'); l.className = 'list'; l.innerHTML = '<div class=p>自动</div><div class=p>手动</div>';
      l.querySelectorAll('.p').forEach(o => o.onclick = () => { this.$('#f').textContent = o.textContent; l.remove(); }); this.$('#f').after(l); };
    this.$('#c').onclick = async () => { const items = await post('ready', data());
      this.$('#out').innerHTML = [['检查项', '状态'], ...items].map(([a, s]) => `<div><span style="display:inline-block;width:200px">${a}</span><span style="display:inline-block">${({Passed: '通过', Failed: '失败'})[s] || s}</span></div>`).join(''); };
    this.$('#r').onclick = async () => { const r = await post('register', data()); if (r.error) this.say(r.error); else this.ha(); }; }
  async ise() { const list = await get('ise'); this.draw(`<h3>ISE 服务器</h3><span class=b id=a>添加</span> <span class=b id=d>删除</span>
      <table><tr><th></th><th>地址</th><th>状态</th></tr>${list.map(([a, s]) => `<tr><td><input type=checkbox value=${a}></td><td>${a}</td><td>${s}</td></tr>`).join('')}</table>`);
    this.$('#a').onclick = () => { this.draw(`<div class=g><div>IP 地址</div><div>用户名</div><input id=i><input id=u>
        <div>密码</div><div>确认密码</div><input type=password id=p><input type=password id=q></div><span class=b id=sv>保存</span>`);
      this.$('#sv').onclick = async () => { const r = await post('ise/add', {address: this.$('#i').value, user: this.$('#u').value, password: this.$('#p').value});
        if (r.error) this.say(r.error); else this.ise(); }; };
    this.$('#d').onclick = async () => { const b = this.$('input:checked'); if (b && confirm('确定要删除吗？')) { await post('ise/del', {address: b.value}); this.ise(); } }; }
}
customElements.define('x-app', App);</script>"""

WORDS: dict[str, tuple[str, ...]] = {
    "login_user": ("用户名",),
    "login_password": ("密码",),
    "login_button": ("登录",),
    "menu_administration": ("管理",),
    "menu_settings": ("设置",),
    "menu_servers": ("服务器",),
    "menu_high_availability": ("高可用性",),
    "menu_ise_servers": ("ISE 服务器",),
    "ha_configuration": ("高可用性配置",),
    "secondary_server": ("辅助服务器",),
    "auth_key": ("验证密钥",),
    "email": ("电子邮件地址",),
    "failover_type": ("故障切换类型",),
    "failover_manual": ("手动",),
    "enable_virtual_ip": ("启用虚拟 IP",),
    "check_readiness": ("检查就绪",),
    "register": ("注册",),
    "configuration_mode": ("配置模式",),
    "milestone_pre": ("高可用性预注册",),
    "milestone_replication": ("数据库复制",),
    "milestone_post": ("高可用性后注册",),
    "passed": ("通过",),
    "failed": ("失败",),
    "ise_add": ("添加",),
    "ise_delete": ("删除",),
    "ise_address": ("IP 地址",),
    "ise_user": ("用户名",),
    "ise_password": ("密码",),
    "ise_password_again": ("确认密码",),
    "save": ("保存",),
    "column_address": ("地址",),
    "column_check": ("检查项",),
    "column_status": ("状态",),
    "ask_delete": ("确定要删除吗",),
}


def words_login(product: Product, says: str, fields: dict[str, str]) -> str:
    return html(
        f"""<p>{escape(says)}</p><form method=post action=/login><div>用户名：</div><input name=user>
        <div>密码：</div><input type=password name=password><div><input type=submit value="登 录"></div></form>"""
    )


def words_page(product: Product, path: str, fields: dict[str, str]) -> str:
    return json.dumps(aria_api(product, path, fields)) if path.startswith("api/") else html(WORDS_SCRIPT)


SKINS: dict[str, tuple[Page, Page]] = {
    "plain": (plain_login, plain_page),
    "tables": (table_login, table_page),
    "aria": (aria_login, aria_page),
    "words": (words_login, words_page),
}
