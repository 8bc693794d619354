/* Search without a server: a browser starts no Worker for a page that it opened from the disk, so
 * there the search script runs in a hidden frame, which passes messages as a Worker does. The
 * generator's plugin `offline` takes this file in place of one from the network (mkdocs.yml). */
if (location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.body.append(frame);
      const inner = frame.contentWindow;
      this.send = inner.postMessage.bind(inner);
      this.frame = frame;
      // What the script posts goes to this object, and not to the frame itself.
      inner.postMessage = (data) => this.deliver(data);
      const load = (address) => {
        const script = inner.document.createElement("script");
        script.src = address;
        inner.document.body.append(script);
        return new Promise((done) => script.addEventListener("load", done));
      };
      inner.importScripts = (...addresses) =>
        addresses.reduce((before, address) => before.then(() => load(address)), Promise.resolve());
      this.ready = load(new URL(url, location));
    }
    deliver(data) {
      const event = new MessageEvent("message", { data });
      this.dispatchEvent(event);
      if (this.onmessage) this.onmessage(event);
    }
    postMessage(data) {
      this.ready.then(() => this.send(data, "*"));
    }
    terminate() {
      this.frame.remove();
    }
  };
}
