// SPDX-License-Identifier: MIT
// The page's own part: buttons, the console's bytes, charts. The screen is noVNC's, the terminal xterm.js's.
import RFB from "/core/rfb.js";

const token = new URLSearchParams(location.search).get("token");
const at = (id) => document.getElementById(id);
const api = (path, more = "") => `/api/${path}?token=${token}${more}`;
const COLOURS = ["#5aa9e6", "#f4a259", "#7bc950", "#e0607e", "#b08ee6", "#f6d55c", "#4ecdc4", "#c0c7d0"];
const SECONDS = 120;

function say(text) {
    at("state").textContent = text;
}

// ---- screen, touch, keyboard ----
const socket = location.protocol === "https:" ? "wss:" : "ws:";
const rfb = new RFB(at("screen"), `${socket}//${location.host}/websockify?token=${token}`);
rfb.scaleViewport = true;
rfb.background = "#101216";
rfb.addEventListener("connect", () => say("connected"));
rfb.addEventListener("disconnect", () => say("the emulator has ended"));

// ---- hardware keys: held as long as the button is ----
for (const button of document.querySelectorAll("button[data-key]")) {
    const symbol = Number(button.dataset.key);
    let held = false;
    const send = (down) => {
        if (down !== held) {
            held = down;
            rfb.sendKey(symbol, null, down);
        }
    };
    button.addEventListener("pointerdown", (event) => {
        button.setPointerCapture(event.pointerId);
        send(true);
    });
    button.addEventListener("pointerup", () => send(false));
    button.addEventListener("pointercancel", () => send(false));
    button.addEventListener("keydown", (event) => {
        if (event.key === "Enter" || event.key === " ") {
            send(true);
        }
    });
    button.addEventListener("keyup", () => send(false));
    button.addEventListener("click", () => rfb.focus());
}

at("rotate").addEventListener("click", async () => {
    const answer = await fetch(api("rotate"), {method: "POST"});
    say(answer.ok ? "connected" : (await answer.text()).trim());
    rfb.focus();
});

// ---- serial console ----
// Debian's package has xterm.js as CommonJS modules for Node: small ones, fetched one after the other.
const modules = new Map();

function require(url) {
    if (!modules.has(url)) {
        const request = new XMLHttpRequest();
        request.open("GET", url, false);
        request.send();
        if (request.status !== 200) {
            throw new Error(`there is no ${url}`);
        }
        const module = {exports: {}};
        modules.set(url, module);
        const inner = (name) => require(new URL(`${name}.js`, new URL(url, location)).pathname);
        new Function("module", "exports", "require", request.responseText)(module, module.exports, inner);
    }
    return modules.get(url).exports;
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Console {
    constructor() {
        const {Terminal} = require("/xterm/public/Terminal.js");
        const fit = require("/xterm/addons/fit/fit.js");
        this.terminal = new Terminal({cursorBlink: false, fontSize: 12, scrollback: 5000});
        this.terminal.open(at("console"));
        fit.fit(this.terminal);
        addEventListener("resize", () => fit.fit(this.terminal));
        this.terminal.on("data", (text) => this.type(text));
        this.decoder = new TextDecoder("utf-8", {fatal: false});
        this.next = 0;
        this.sending = Promise.resolve();
        this.pause = 100;
    }

    // One after the other, so that keys stay in order.
    type(text) {
        this.pause = 50;
        this.sending = this.sending.then(async () => {
            let bytes = new TextEncoder().encode(text);
            while (bytes.length > 0) {
                const answer = await fetch(api("serial"), {method: "POST", body: bytes});
                if (!answer.ok) {
                    return;
                }
                bytes = bytes.slice(Number(answer.headers.get("X-Taken")));
                if (bytes.length > 0) {
                    await sleep(100);
                }
            }
        }).catch(() => {});
    }

    async follow() {
        for (;;) {
            const answer = await fetch(api("serial", `&from=${this.next}`)).catch(() => null);
            if (answer === null || !answer.ok) {
                return;
            }
            const bytes = new Uint8Array(await answer.arrayBuffer());
            this.next = Number(answer.headers.get("X-Next"));
            this.terminal.write(this.decoder.decode(bytes, {stream: true}));
            this.pause = bytes.length > 0 ? 50 : Math.min(this.pause * 1.5, document.hidden ? 2000 : 400);
            await sleep(this.pause);
        }
    }
}

// ---- charts ----
class Chart {
    constructor(canvas, legend, names, top) {
        this.canvas = canvas;
        this.names = names;
        this.top = top;            // undefined: as high as it takes
        this.points = [];
        this.total = 0;            // of the busiest of each second: for tests
        legend.innerHTML = "";
        names.forEach((name, i) => {
            const item = document.createElement("i");
            item.style.color = COLOURS[i % COLOURS.length];
            item.textContent = name;
            legend.append(item);
        });
    }

    add(values) {
        this.points.push(values);
        if (this.points.length > SECONDS) {
            this.points.shift();
        }
        this.total += Math.max(...values);
        this.canvas.dataset.last = values.map((v) => v.toFixed(1)).join(" ");
        this.canvas.dataset.total = this.total.toFixed(0);
        this.draw();
    }

    draw() {
        const {width, height} = this.canvas;
        const g = this.canvas.getContext("2d");
        const top = this.top ?? Math.max(10, ...this.points.flat()) * 1.1;
        g.clearRect(0, 0, width, height);
        g.strokeStyle = "#333a44";
        g.fillStyle = "#9aa7b8";
        for (const part of [0.25, 0.5, 0.75]) {
            g.beginPath();
            g.moveTo(0, height * part);
            g.lineTo(width, height * part);
            g.stroke();
        }
        g.fillText(Math.round(top).toLocaleString("en"), 4, 12);
        this.names.forEach((name, i) => {
            g.strokeStyle = COLOURS[i % COLOURS.length];
            g.beginPath();
            this.points.forEach((values, n) => {
                const x = width - (this.points.length - 1 - n) * width / SECONDS;
                g.lineTo(x, height - 1 - Math.min(values[i] / top, 1) * (height - 2));
            });
            g.stroke();
        });
    }
}

// {name: {label: number}} of a page in Prometheus' text format.
function parse(text) {
    const values = {};
    for (const [, name, label, number] of text.matchAll(/^umbra_(\w+?)(?:_total)?(?:\{\w+="([^"]*)"\})? (\S+)$/gm)) {
        (values[name] ??= {})[label ?? ""] = Number(number);
    }
    return values;
}

const sum = (values) => Object.values(values ?? {}).reduce((a, b) => a + b, 0);
const EVENTS = {fills: "spt_fills", drops: "spt_drops", "host faults": "spt_faults", "soft misses": "soft_misses"};

async function chart() {
    let before = null, load = null;
    const spt = new Chart(at("spt"), at("spt-legend"), Object.keys(EVENTS));
    for (;;) {
        const answer = await fetch(api("stats")).catch(() => null);
        if (answer === null || !answer.ok) {
            return;
        }
        const now = {time: performance.now() / 1000, ...parse(await answer.text())};
        const cpus = Object.keys(now.thread_seconds ?? {}).filter((name) => name.startsWith("vcpu")).sort();
        load ??= new Chart(at("load"), at("load-legend"), cpus, 100);
        if (before !== null) {
            const seconds = Math.max(now.time - before.time, 0.001);
            load.add(load.names.map((n) => Math.max(0, ((now.thread_seconds[n] ?? 0) -
                (before.thread_seconds[n] ?? 0)) / seconds * 100)));
            spt.add(Object.values(EVENTS).map((n) => Math.max(0, sum(now[n]) - sum(before[n])) / seconds));
        }
        before = now;
        await sleep(document.hidden ? 5000 : 1000);
    }
}

try {
    const serial = new Console();
    window.umbraConsole = serial; // for tests and for the curious
    serial.follow();
} catch (error) {
    at("console").textContent = "No terminal: where the emulator runs, xterm.js is not installed (Debian: node-xterm). " +
        error.message;
}
chart();
