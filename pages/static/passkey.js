// Passkeys: what a browser asks a device for, and sends. Without script one signs in by password.
"use strict";
(() => {
  if (!window.PublicKeyCredential || !navigator.credentials) return;
  document.querySelectorAll("[data-passkey-part]").forEach((part) => { part.hidden = false; });

  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const send = async (path, body) => {
    const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw new Error(said.error ? said.error.message : answer.statusText);
    return said;
  };

  const signIn = async (next) => {
    const { publicKey } = await send("/signin/passkey/begin", {});
    publicKey.challenge = bytes(publicKey.challenge);
    const key = await navigator.credentials.get({ publicKey });
    const r = key.response;
    return send("/signin/passkey?next=" + encodeURIComponent(next), {
      id: key.id, rawId: text(key.rawId), type: key.type, clientExtensionResults: key.getClientExtensionResults(),
      response: {
        authenticatorData: text(r.authenticatorData), clientDataJSON: text(r.clientDataJSON), signature: text(r.signature), userHandle: r.userHandle ? text(r.userHandle) : "",
      },
    });
  };
  const add = async (name) => {
    const { publicKey } = await send("/account/passkeys/begin", {});
    publicKey.challenge = bytes(publicKey.challenge);
    publicKey.user.id = bytes(publicKey.user.id);
    (publicKey.excludeCredentials || []).forEach((c) => { c.id = bytes(c.id); });
    const key = await navigator.credentials.create({ publicKey });
    const r = key.response;
    return send("/account/passkeys?name=" + encodeURIComponent(name), {
      id: key.id, rawId: text(key.rawId), type: key.type, clientExtensionResults: key.getClientExtensionResults(),
      response: { attestationObject: text(r.attestationObject), clientDataJSON: text(r.clientDataJSON), transports: r.getTransports ? r.getTransports() : [] },
    });
  };

  document.querySelectorAll("[data-passkey]").forEach((button) => {
    button.addEventListener("click", async () => {
      const note = button.closest("[data-passkey-part]").querySelector("[data-passkey-note]");
      note.textContent = "";
      button.disabled = true;
      try {
        const { next } = button.dataset.passkey === "add" ? await add(document.getElementById(button.dataset.name).value) : await signIn(button.dataset.next);
        location.assign(next);
      } catch (e) {
        button.disabled = false;
        if (e.name === "NotAllowedError" || e.name === "AbortError") return; // whoever was asked said no, and knows it
        note.textContent = button.dataset.failed + " " + e.message;
      }
    });
  });
})();
