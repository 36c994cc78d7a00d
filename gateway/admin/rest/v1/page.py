"""The interactive page of the REST interface: one file, which calls only its own server and stores no key."""

from __future__ import annotations

import base64
import hashlib

_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h2{margin:2rem 0 .5rem;font-size:1.1rem;text-transform:capitalize}
details{border:1px solid #ccc;border-radius:6px;margin:.4rem 0;padding:.4rem .8rem}
summary{cursor:pointer;display:flex;gap:.8rem;align-items:baseline;flex-wrap:wrap}
summary b{min-width:4.5rem;font-family:ui-monospace,monospace}summary code{font-weight:600}
label{display:block;margin:.4rem 0}label span{display:inline-block;min-width:9rem}
input,textarea{font:inherit;padding:.2rem .4rem;width:24rem;max-width:100%;box-sizing:border-box}
textarea{width:100%;min-height:7rem;font-family:ui-monospace,monospace}
pre{background:#f4f4f4;padding:.6rem;overflow:auto;white-space:pre-wrap}
@media(prefers-color-scheme:dark){body{background:#181818;color:#e6e6e6}pre{background:#262626}details{border-color:#444}
input,textarea,button{background:#222;color:#e6e6e6;border:1px solid #555}a{color:#8ab8ff}}
"""

_SCRIPT = """
const make=(tag,text,parent)=>{const e=document.createElement(tag);if(text)e.textContent=text;parent?.append(e);
  return e};
const field=(name,note,parent)=>{const l=make('label','',parent);make('span',name,l);const i=make('input','',l);
  i.placeholder=note||'';i.autocomplete='off';return i};
const example=(schema,doc)=>{if(schema.$ref)schema=doc.components.schemas[schema.$ref.split('/').pop()];
  const one=s=>{const t=[s.type].flat();return t.includes('array')?[]:t.includes('boolean')?false:
    t.includes('integer')?'0':s.format==='date-time'?null:''};
  return Object.fromEntries(Object.entries(schema.properties||{}).map(([k,s])=>[k,one(s)]))};
(async()=>{
  const doc=await(await fetch('openapi.json')).json(),main=document.querySelector('main');
  const key=document.querySelector('#key');
  for(const tag of doc.tags){make('h2',tag.name,main);
    for(const[path,verbs]of Object.entries(doc.paths))for(const[verb,op]of Object.entries(verbs)){
      if(op.tags[0]!==tag.name)continue;
      const box=make('details','',main),head=make('summary','',box);
      make('b',verb.toUpperCase(),head);make('code',path,head);make('span',op.summary,head);
      const inputs=(op.parameters||[]).map(p=>[p,field(p.name+(p.required?' *':''),p.description||p.in,box)]);
      let body=null;
      if(op.requestBody){body=make('textarea','',box);body.setAttribute('aria-label','body');
        body.value=JSON.stringify(example(op.requestBody.content['application/json'].schema,doc),null,2)}
      const send=make('button','Send',box),out=make('pre','',box);out.hidden=true;
      send.addEventListener('click',async()=>{
        let url=doc.servers[0].url+path;const query=new URLSearchParams();
        for(const[p,i]of inputs){if(p.in==='path')url=url.replace('{'+p.name+'}',encodeURIComponent(i.value));
          else if(i.value!=='')query.append(p.name,i.value)}
        if([...query].length)url+='?'+query;
        out.hidden=false;out.textContent='…';
        try{const r=await fetch(url,{method:verb.toUpperCase(),headers:{Authorization:'Bearer '+key.value},
            body:body?body.value:undefined});
          const text=await r.text();let shown=text;try{shown=JSON.stringify(JSON.parse(text),null,2)}catch{}
          out.textContent=r.status+' '+r.statusText+'\\n'+shown}
        catch(error){out.textContent=String(error)}})}}
})();
"""

HTML = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Administration over HTTP</title><style>{_STYLE}</style></head>
<body><h1>Administration over HTTP</h1>
<p>The document itself: <a href="openapi.yaml">openapi.yaml</a>, <a href="openapi.json">openapi.json</a>.
An API key comes from <code>headscale apikeys create</code>; this page keeps it only while it is open.</p>
<label><span>API key</span><input id="key" type="password" autocomplete="off" aria-label="API key"></label>
<main></main><script>{_SCRIPT}</script></body></html>
""".encode()


def _digest(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


POLICY = (
    f"default-src 'none'; script-src {_digest(_SCRIPT)}; style-src {_digest(_STYLE)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
