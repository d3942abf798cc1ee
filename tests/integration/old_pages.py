# ruff: noqa: E501 - markup reads better unbroken
"""Pages as old script libraries draw them, for tests of the browser side; written against a driver that has not seen them.

``drawn``: buttons, tabs, grids and lists out of ``div`` and ``span`` without any role, a notice of the law before the
login, an accordion for a menu, masks over the page while it loads, a question whether the session goes on.
``widgets``: what widget libraries make of a form: buttons and choosers nested three deep, with roles on their outer or
their inner parts, a toolbar of pictures, a grid whose head and whose every row is a table of its own.
``frames``: a frameset with the menu in one frame and the pages in another, everything in nested tables.
"""

from __future__ import annotations

import json
from html import escape

from web_site import NOTHING, STEPS, Page, Product, aria_api, html

# -- drawn: nothing but div and span -----------------------------------------------------------------

LAW = """<div id=law style="padding:40px"><h1>Management System</h1><p>This system is for the use of authorized users only.
All activities may be monitored and reported. Unauthorized access is a violation of law.</p>
<span id=agree style="border:1px solid #888;padding:4px;cursor:pointer">I&nbsp;Accept</span>
<span style="border:1px solid #888;padding:4px;cursor:pointer">Decline</span></div>"""


def drawn_login(product: Product, says: str, fields: dict[str, str]) -> str:
    return html(
        f"""{"" if fields else LAW}<div id=in style="display:{"block" if fields else "none"}"><form method=post action=/login id=f>
        <div><div>User Name:</div><input name=user autocomplete=off></div>
        <div><div>Password:</div><input name=password type=password autocomplete=off></div>
        <div style="color:red">{escape(says)}</div>
        <div id=go style="display:inline-block;border:1px solid #888;padding:4px;cursor:pointer">LOG&nbsp;IN</div></form></div>
        <div id=crumbs style="position:fixed;bottom:0;left:0;right:0;background:#ffd;padding:8px">This site uses cookies.
          <span onclick="crumbs.remove()" style="cursor:pointer;border:1px solid">Accept all</span></div>
        <script>document.getElementById('go').addEventListener('click', () => f.submit());
        if (document.getElementById('agree')) agree.addEventListener('click', () => {{ law.remove(); document.getElementById('in').style.display = 'block'; }});
        </script>"""
    )


DRAWN = """<style>body{font:13px sans-serif;margin:0} .hd{background:#dde;padding:4px;border:1px solid #99a;cursor:pointer}
 #side{position:absolute;left:0;top:30px;width:220px} #main{position:absolute;left:240px;top:30px;width:900px}
 .leaf{padding:3px 16px;cursor:pointer} .btn{display:inline-block;border:1px solid #888;padding:3px 8px;margin:2px;cursor:pointer}
 .row{height:22px} .cell{display:inline-block;width:210px} .wait{position:fixed;inset:0;background:#fffa;z-index:50}
 .fl{position:relative;height:30px} .fl .cap{position:absolute;left:0;width:190px;text-align:right} .fl input,.fl .v{position:absolute;left:200px}
 .arrow{position:absolute;left:360px;width:16px;height:18px;background:#999} .pick{position:absolute;background:#fff;border:1px solid;z-index:60}
 .bar{position:relative;width:300px;height:18px;border:1px solid;overflow:hidden} .bar i{position:absolute;inset:0 auto 0 0;background:#9cf} .bar b{position:absolute;left:130px}
 .off{color:#aaa}</style>
<div>Signed in as root &nbsp; <span class=leaf id=bye>Log Out</span></div><div id=side></div><div id=main></div><script>
const by = (i) => document.getElementById(i), main = by('main'), side = by('side');
const post = (u, b) => fetch('/api/' + u, {method:'POST', headers:{'Content-Type':'application/json'}, body:JSON.stringify(b)}).then(r => r.ok ? r.json() : (location = '/', new Promise(() => {})));
const get = (u) => fetch('/api/' + u).then(r => r.ok ? r.json() : (location = '/', new Promise(() => {})));
const masked = async (work) => { const m = document.createElement('div'); m.className = 'wait'; m.innerHTML = '<div style="position:absolute;left:600px;top:300px;background:#fff;border:1px solid;padding:20px">Loading…</div>';
  document.body.append(m); try { await new Promise(r => setTimeout(r, 500)); return await work(); } finally { m.remove(); } };
const on = (el, f) => el.addEventListener('click', f);
const box = (words, buttons, then) => { const m = document.createElement('div'); m.className = 'wait';
  m.innerHTML = '<div style="position:absolute;left:500px;top:200px;background:#fff;border:1px solid;padding:12px"><div>' + words + '</div>' + buttons.map(b => '<div class=btn>' + b + '</div>').join('') + '</div>';
  m.querySelectorAll('.btn').forEach(b => on(b, () => { m.remove(); then && then(b.textContent); })); document.body.append(m); };
side.innerHTML = '<div class=hd>Monitor</div><div hidden><div class=leaf>Settings</div></div><div class=hd id=hA>Administration</div><div hidden id=bA><div class=leaf id=s1>Settings</div><div hidden><div class=leaf id=mH>High Availability</div></div><div class=leaf id=s2>Servers</div><div hidden><div class=leaf id=mI>ISE Servers</div></div></div>';
[...document.querySelectorAll('.hd'), by('s1'), by('s2')].forEach(h => on(h, () => { const next = h.nextElementSibling; setTimeout(() => next.hidden = !next.hidden, 120); }));
on(by('mH'), () => ha()); on(by('mI'), () => ise()); main.innerHTML = '<h2>Overview</h2>';
const field = (id, cap, type, value) => `<div class=fl><div class=cap>${cap}</div><input id=${id} type=${type || 'text'} autocomplete=off value="${value || ''}"></div>`;
const chooser = (id, cap, value, choices) => { setTimeout(() => { const open = () => { document.querySelectorAll('.pick').forEach(p => p.remove()); const l = document.createElement('div'); l.className = 'pick';
  const r = by(id).getBoundingClientRect(); l.style.left = r.left + 'px'; l.style.top = (r.bottom + scrollY) + 'px'; l.style.width = '150px';
  choices.forEach(c => { const o = document.createElement('div'); o.textContent = c; on(o, () => { by(id).value = c; l.remove(); }); l.append(o); }); document.body.append(l); };
  on(by(id + 'a'), open); }); return `<div class=fl><div class=cap>${cap}</div><input id=${id} readonly value="${value}"><div class=arrow id=${id}a></div></div>`; };
async function ha() { const d = await masked(() => get('ha')); main.innerHTML = '<div><span class=btn>HA&nbsp;Status</span><span class=btn id=cf>HA&nbsp;Configuration</span></div>' +
   `<div class=row><div class=cell>Configuration&nbsp;Mode&nbsp;:</div><div class=cell>${d.mode.replace(' ', ' &nbsp;')}</div></div>` +
   d.percents.map((p, i) => `<div class=row><div class=cell>${['PRE-HA REGISTRATION', 'Database&nbsp;Replication', 'Post HA registration'][i]}</div><div class=cell><div class=bar><i style="width:${p}%"></i><b>${p}.0 %</b></div></div></div>`).join('') +
   `<div style="color:#a00">${d.message}</div>`; on(by('cf'), () => masked(form)); if (d.percents.length && d.mode !== 'Primary Active' && !d.message) setTimeout(() => by('cf') && quietly(), 400); }
async function quietly() { const d = await get('ha'); if (by('cf')) { main.querySelectorAll('.bar').forEach((b, i) => { b.firstChild.style.width = d.percents[i] + '%'; b.lastChild.textContent = d.percents[i] + '.0 %'; });
   main.children[1].lastChild.textContent = d.mode; main.lastChild.textContent = d.message; if (d.mode !== 'Primary Active' && !d.message) setTimeout(quietly, 400); } }
async function form() { main.innerHTML = field('sec', 'Secondary&nbsp;Server&nbsp;:<span style="color:red">*</span>') + field('key', 'Authentication&nbsp;Key&nbsp;:<span style="color:red">*</span>', 'password') +
   field('mail', 'Email&nbsp;Address&nbsp;:') + chooser('fo', 'Failover&nbsp;Type&nbsp;:', 'Automatic', ['Automatic', 'Manual']) +
   '<div id=say style="color:#a00"></div><div class=btn id=ck>Check&nbsp;Readiness</div><div class=btn id=rg>Register</div><div class=btn>Cancel</div><div id=out></div>';
  const data = () => ({secondary: sec.value, key: key.value, email: mail.value, failover: fo.value});
  on(ck, async () => { const items = await masked(() => post('ready', data())); out.innerHTML = '<div class=row><div class=cell><b>Item</b></div><div class=cell><b>Status</b></div></div>' +
    items.map(([a, s]) => `<div class=row><div class=cell>${a}</div><div class=cell>${s.toUpperCase()}</div></div>`).join('');
    box('Your session is about to expire due to inactivity. Do you want to stay signed in?', ['Stay Signed In', 'Log Out']); });
  on(rg, () => box('Are you sure you want to register?', ['Yes', 'No'], async (b) => { if (b !== 'Yes') return; const r = await masked(() => post('register', data())); if (r.error) say.textContent = r.error; else ha(); })); }
async function ise() { const list = await masked(() => get('ise')); main.innerHTML = '<div><span class=btn id=ad>Add ISE Server</span><span class=btn id=de>Delete</span></div>' +
   '<div class=row><div class=cell><b>IP&nbsp;Address</b></div><div class=cell><b>Status</b></div></div>' +
   list.map(([a, s]) => `<div class=row data-a=${a}><div class=cell>${a}</div><div class=cell>${s}</div></div>`).join('');
  let chosen = ''; main.querySelectorAll('[data-a]').forEach(r => on(r, () => { chosen = r.dataset.a; r.style.background = '#cdf'; }));
  on(by('ad'), add); on(by('de'), () => chosen ? box('Are you sure you want to delete ' + chosen + '?', ['Yes', 'No'], async (b) => { if (b === 'Yes') { await post('ise/del', {address: chosen}); ise(); } }) : box('Select a server first', ['OK'])); }
function add() { main.innerHTML = field('ia', 'Server&nbsp;IP&nbsp;Address&nbsp;:<span>*</span>') + field('iu', 'User&nbsp;Name&nbsp;:') + field('ip', 'Password&nbsp;:', 'password') + field('iq', 'Confirm&nbsp;Password&nbsp;:', 'password') +
   '<div id=say style="color:#a00"></div><div class=btn id=sv>Save</div><div class=btn>Cancel</div>';
  on(sv, async () => { const r = await masked(() => post('ise/add', {address: ia.value, user: iu.value, password: ip.value})); if (r.error) say.textContent = r.error; else ise(); }); }
</script>"""


def drawn_page(product: Product, path: str, fields: dict[str, str]) -> str:
    return json.dumps(aria_api(product, path, fields)) if path.startswith("api/") else html(DRAWN)


# -- widgets: roles on the outer or the inner parts ---------------------------------------------------


def button(name: str, text: str) -> str:
    """A button as a widget library draws it: the role inside, an input of no use beside."""
    return f"""<span class=w role=presentation><span class=n role=presentation data-do={name}><span role=button tabindex=0
      aria-labelledby=l_{name} style="user-select:none"><span>&#9679;</span><span id=l_{name}>{text}</span></span></span>
      <input type=button value="" tabindex=-1 aria-hidden=true style="position:absolute;left:-9999px"></span>"""


WIDGETS = """<style>body{font:13px sans-serif} .w{display:inline-block;border:1px solid #999;padding:2px 6px;margin:2px}
 table{border-collapse:collapse} .g td,.g th{width:160px;border-bottom:1px solid #ddd;text-align:left;font-weight:normal} .pop{position:absolute;background:#fff;border:1px solid;z-index:9}
 .sub{position:absolute;background:#fff;border:1px solid;z-index:9} .tool span{display:inline-block;width:20px;height:20px;background:#36c;margin:2px}
 .pb{position:relative;width:200px;height:16px;border:1px solid} .pb div{height:100%;background:#9cf}</style>
<div role=menubar><span role=menuitem tabindex=0 aria-haspopup=true id=adm>ADMINISTRATION</span> <span role=menuitem tabindex=0 id=bye>LOG OUT</span></div><div id=main>Home</div><script>
const by = (i) => document.getElementById(i), main = by('main');
const post = (u, b) => fetch('/api/' + u, {method:'POST', headers:{'Content-Type':'application/json'}, body:JSON.stringify(b)}).then(r => r.ok ? r.json() : (location = '/', new Promise(() => {})));
const get = (u) => fetch('/api/' + u).then(r => r.ok ? r.json() : (location = '/', new Promise(() => {})));
const item = (text, f, below) => { const i = document.createElement('tr'); i.setAttribute('role', 'menuitem'); i.tabIndex = -1; i.innerHTML = '<td>&nbsp;</td><td>' + text + '</td><td>' + (below ? '▸' : '&nbsp;') + '</td>'; i.addEventListener('mouseenter', () => f(i)); if (!below) i.addEventListener('click', () => { document.querySelectorAll('.sub').forEach(s => s.remove()); below === false && f.go(); }); return i; };
const menu = (x, y, items) => { const t = document.createElement('table'); t.className = 'sub'; t.setAttribute('role', 'menu'); t.style.left = x + 'px'; t.style.top = y + 'px'; t.append(...items); document.body.append(t); };
const leaf = (text, go) => { const f = () => {}; f.go = go; return item(text, f, false); };
by('adm').addEventListener('click', () => { document.querySelectorAll('.sub').forEach(s => s.remove()); menu(10, 30, [item('Settings', () => level([leaf('High Availability', ha), leaf('Mail Server', () => {})]), true), item('Servers', () => level([leaf('ISE Servers', ise)]), true)]); });
const level = (items) => { [...document.querySelectorAll('.sub')].slice(1).forEach(s => s.remove()); menu(150, 40, items); };
const act = (what, f) => main.querySelector(`[data-do=${what}]`).addEventListener('click', f);
const field = (id, cap, type) => `<tr><td><label for=${id}>${cap}</label></td><td><div role=presentation class=w><input id=${id} type=${type || 'text'} autocomplete=off role=${type ? 'none' : 'textbox'}></div></td></tr>`;
const chooser = (id, cap, value, choices) => { setTimeout(() => { const open = () => { const p = document.createElement('div'); p.className = 'pop'; p.setAttribute('role', 'listbox'); const r = by('w_' + id).getBoundingClientRect(); p.style.left = r.left + 'px'; p.style.top = r.bottom + 'px';
   choices.forEach(c => { const o = document.createElement('div'); o.setAttribute('role', 'option'); o.textContent = c; o.addEventListener('mousedown', () => { by(id).value = c; p.remove(); }); p.append(o); }); document.body.append(p); }; by('a_' + id).addEventListener('mousedown', open); });
  return `<tr><td><label>${cap}</label></td><td><div role=combobox class=w id=w_${id} aria-expanded=false><div role=presentation id=a_${id} style="float:right"><input value="▼ " type=text tabindex=-1 readonly role=presentation style="width:16px;border:0" aria-hidden=true></div><div style="overflow:hidden"><input id=${id} type=text role=textbox autocomplete=off aria-autocomplete=list readonly value="${value}"></div><input type=hidden></div></td></tr>`; };
const grid = (heads, rows) => `<div class=g><table><tr>${heads.map(h => '<td>' + h + '</td>').join('')}</tr></table>` + rows.map(r => `<div class=rw><table><tr>${r.map(c => '<td>' + c + '</td>').join('')}</tr></table></div>`).join('') + '</div>';
async function ha() { const d = await get('ha'); main.innerHTML = `<table role=presentation><tr><td>Configuration Mode</td><td>:</td><td>${d.mode.toUpperCase()}</td></tr></table>` +
   d.percents.map((p, i) => `<div>${['Pre-HA Registration', 'Database Replication', 'Post HA Registration'][i]}</div><div class=pb role=progressbar aria-valuenow=${p / 100} aria-valuemin=0 aria-valuemax=1><div style="width:${p}%"></div></div>`).join('') +
   `<div role=alert>${d.message}</div>BUTTON(conf,HA Configuration)`; act('conf', form); if (d.percents.length && d.mode !== 'Primary Active' && !d.message) setTimeout(() => main.querySelector('.pb') && ha(), 400); }
function form() { main.innerHTML = '<table role=presentation>' + field('sec', '* Secondary Server (IP address or host name):') + field('key', '* Authentication Key:', 'password') + field('mail', 'Email Address:') + chooser('fo', 'Failover Type:', 'Automatic', ['Automatic', 'Manual']) +
   '</table><div id=out></div><div id=say role=alert></div>BUTTON(ck,Check Readiness)BUTTON(rg,Register)BUTTON(no,Cancel)';
  const data = () => ({secondary: sec.value, key: key.value, email: mail.value, failover: fo.value});
  act('ck', async () => { const items = await post('ready', data()); out.innerHTML = grid(['Check', 'Result', 'Details'], items.map(([a, s]) => [a, `<span style="display:inline-block;width:12px;height:12px;background:#888" title="${s}"></span>`, 'measured'])); });
  act('rg', async () => { if (!confirm('Do you wish to continue with the registration?')) return; const r = await post('register', data()); if (r.error) say.textContent = r.error; else ha(); }); }
async function ise() { const list = await get('ise'); main.innerHTML = '<div class=tool role=toolbar><span title="Add ISE Server" data-do=add></span><span title="Delete" data-do=del></span><span title="Refresh"></span></div>' +
   grid(['', 'IP Address', 'Status'], list.map(([a, s]) => [`<input type=checkbox value=${a}>`, a, s]));
  act('add', add); act('del', async () => { const b = main.querySelector(':checked'); if (b && confirm('Delete the server?')) { await post('ise/del', {address: b.value}); ise(); } }); }
function add() { main.innerHTML = '<table role=presentation>' + field('ia', '* Server Address:') + field('iu', '* User Name:') + field('ip', '* Password:', 'password') + field('iq', '* Confirm Password:', 'password') + '</table><div id=say role=alert></div>BUTTON(sv,Save)BUTTON(no,Cancel)';
  act('sv', async () => { const r = await post('ise/add', {address: ia.value, user: iu.value, password: ip.value}); if (r.error) say.textContent = r.error; else ise(); }); }
</script>"""
for _name, _text in {
    "conf": "HA Configuration",
    "ck": "Check Readiness",
    "rg": "Register",
    "no": "Cancel",
    "sv": "Save",
}.items():
    WIDGETS = WIDGETS.replace(f"BUTTON({_name},{_text})", " ".join(button(_name, _text).split()))


def widgets_login(product: Product, says: str, fields: dict[str, str]) -> str:
    return html(
        f"""<form method=post action=/login><table><tr><td><label>* User Name:</label></td><td><input name=user></td></tr>
        <tr><td><label>* Password:</label></td><td><input name=password type=password></td></tr></table>
        <div role=alert>{escape(says)}</div>{button("go", "Log In")}</form>
        <script>document.querySelector('[data-do=go]').addEventListener('click', () => document.forms[0].submit())</script>"""
    )


def widgets_page(product: Product, path: str, fields: dict[str, str]) -> str:
    return json.dumps(aria_api(product, path, fields)) if path.startswith("api/") else html(WIDGETS)


# -- frames: a frameset, nested tables, pages that load themselves anew -----------------------------


def frames_login(product: Product, says: str, fields: dict[str, str]) -> str:
    return html(
        f"""<center><table border=1><tr><td><table><tr><td>USERNAME</td><td><input name=user form=l></td></tr><tr><td>PASSWORD</td>
        <td><input type=password name=password form=l></td></tr><tr><td colspan=2 align=right><input type=submit value="Login" form=l></td></tr></table></td></tr></table>
        <form method=post action=/login id=l target=_top></form><b>{escape(says)}</b></center>"""
    )


def frames_page(product: Product, path: str, fields: dict[str, str]) -> str:
    if path == "top":
        return html(
            """<a href=/blank target=page onclick="a.hidden=!a.hidden">Administration</a> | <a href=/bye target=_top>Logout</a><div id=a hidden>
            <table><tr><td>Settings</td><td><a href=/ha target=page>High Availability</a></td></tr>
            <tr><td>Servers</td><td><a href=/ise target=page>ISE Servers</a></td></tr></table></div>"""
        )
    if path in ("ha", "haconf"):
        return html(frames_ha(product, path, fields))
    if path == "ise":
        return html(frames_ise(product, fields))
    if path == "blank":
        return html("<h1>Home</h1>")
    return """<!doctype html><title>M</title><frameset rows="140,*"><frame src=/top name=menu><frame src=/blank name=page></frameset>"""


def frames_ha(product: Product, path: str, fields: dict[str, str]) -> str:
    product.advance()
    says = ready = ""
    if fields.get("do") == "Register":
        says = product.register(fields)
        path = "haconf" if says else "ha"
    elif fields.get("do"):
        product.heard.append(("readiness", fields))
        ready = "".join(f"<li>{name}: {state}</li>" for name, state in product.readiness)
        path = "haconf"
    if path == "ha":
        again = "" if product.stage < 0 or product.mode == "Primary Active" else "<meta http-equiv=refresh content=1>"
        steps = "".join(
            f"<tr><td><table><tr><td>{n}</td></tr></table></td><td><table><tr><td><table width={p or 1} bgcolor=blue><tr><td>&nbsp;</td></tr></table></td><td>{p}&nbsp;%</td></tr></table></td></tr>"
            for n, p in zip(STEPS, product.percents(), strict=False)
        )
        return f"""{again}<table><tr><td><table><tr><td>Configuration Mode</td></tr></table></td><td><table><tr><td>{product.mode}</td></tr></table></td></tr></table>
            <table>{steps}</table><font color=red>{escape(says or product.message)}</font><hr><a href=/haconf>HA Configuration</a>"""
    return f"""<font color=red>{escape(says)}</font><ul>{ready}</ul><form method=post action=/ha><table><tr><td><table>
        <tr><td>Secondary Server<sup>*</sup></td><td><table><tr><td><input name=secondary></td></tr></table></td></tr>
        <tr><td>Authentication Key<sup>*</sup></td><td><table><tr><td><input name=key type=password></td></tr></table></td></tr>
        <tr><td>Email Address</td><td><table><tr><td><input name=email></td></tr></table></td></tr>
        <tr><td>Failover Type</td><td><table><tr><td><select name=failover><option>Automatic<option>Manual</select></td></tr></table></td></tr>
        </table></td></tr></table><input type=submit name=do value="Check Readiness"> <input type=submit name=do value=Register></form>"""


def frames_ise(product: Product, fields: dict[str, str]) -> str:
    says = ""
    if "address" in fields:
        says = product.add_ise(fields)
    if fields.get("cmd") == "Add ISE Server":
        return """<form method=post><table><tr><td>Server Address</td><td><input name=address></td></tr><tr><td>User Name</td><td><input name=user></td></tr>
        <tr><td>Password</td><td><input type=password name=password></td></tr><tr><td>Confirm Password</td><td><input type=password name=again></td></tr></table>
        <input type=submit value=Save></form>"""
    if fields.get("cmd") == "Delete":
        product.remove_ise(fields.get("row", ""))
    rows = "".join(
        f"<tr><td><input type=checkbox name=row value={a}></td><td><table><tr><td><a href=#>{a}</a></td></tr></table></td><td>{s}</td></tr>"
        for a, s in product.ise.items()
    )
    return f"""<font color=red>{escape(says)}</font><form method=post><table><tr><td>
        <select name=cmd><option>-- Select a command --<option>Add ISE Server<option>Delete</select><input type=submit value=Go></td></tr></table>
        <table><tr><td></td><td><b>Server Address</b></td><td><b>Status</b></td></tr>{rows or NOTHING}</table></form>"""


OLD_SKINS: dict[str, tuple[Page, Page]] = {
    "drawn": (drawn_login, drawn_page),
    "widgets": (widgets_login, widgets_page),
    "frames": (frames_login, frames_page),
}
