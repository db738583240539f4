// Records the microphone as 16-bit mono WAV, which the server reads without any extra.
const HEADER_BYTES = 44;
const MICROPHONE = { audio: { channelCount: 1, echoCancellation: false, noiseSuppression: false } };
const REASONS = {
  NotAllowedError: ["the microphone is not allowed", "allow it for this page in the browser"],
  NotFoundError: ["there is no microphone", "plug one in"],
};

export class Recorder {
  // `heard(seconds, bytes)` is told of what was recorded so far.
  static async start(heard) {
    if (!navigator.mediaDevices) {
      const fix = "open it as localhost or 127.0.0.1, or over https";
      throw Object.assign(new Error("browsers allow that only to pages of this computer"), { fix });
    }
    const stream = await navigator.mediaDevices.getUserMedia(MICROPHONE).catch((error) => {
      const [what, fix] = REASONS[error.name] ?? [error.message, ""];
      throw Object.assign(new Error(what), { fix });
    });
    const context = new AudioContext();
    await context.audioWorklet.addModule("worklet.js");
    return new Recorder(stream, context, heard);
  }

  constructor(stream, context, heard) {
    this.stream = stream;
    this.context = context;
    this.blocks = [];
    this.samples = 0;
    const mono = { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" };
    this.node = new AudioWorkletNode(context, "tap", mono);
    this.node.port.onmessage = ({ data }) => {
      if (!data) return this.flushed();
      this.blocks.push(Int16Array.from(data, (x) => Math.round(32767 * Math.min(1, Math.max(-1, x)))));
      this.samples += data.length;
      heard(this.samples / context.sampleRate, 2 * this.samples + HEADER_BYTES);
    };
    context.createMediaStreamSource(stream).connect(this.node);
  }

  // Ends the recording and returns it as a Blob.
  async stop() {
    await new Promise((resolve) => {
      this.flushed = resolve;
      this.node.port.postMessage("stop");
    });
    for (const track of this.stream.getTracks()) track.stop();
    const rate = this.context.sampleRate;
    await this.context.close();
    return new Blob([header(2 * this.samples, rate), ...this.blocks], { type: "audio/wav" });
  }
}

function header(bytes, rate) {
  const view = new DataView(new ArrayBuffer(HEADER_BYTES));
  const ascii = (at, text) => [...text].forEach((char, i) => view.setUint8(at + i, char.charCodeAt(0)));
  ascii(0, "RIFF");
  view.setUint32(4, HEADER_BYTES - 8 + bytes, true);
  ascii(8, "WAVEfmt ");
  view.setUint32(16, 16, true);
  view.setUint16(20, 1, true); // PCM
  view.setUint16(22, 1, true); // mono
  view.setUint32(24, rate, true);
  view.setUint32(28, 2 * rate, true);
  view.setUint16(32, 2, true);
  view.setUint16(34, 16, true);
  ascii(36, "data");
  view.setUint32(40, bytes, true);
  return view;
}
