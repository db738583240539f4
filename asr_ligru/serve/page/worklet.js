// Runs beside the audio: hands on what comes in, a quarter of a second at a time. `null` says that all was handed on.
class Tap extends AudioWorkletProcessor {
  constructor() {
    super();
    this.held = new Float32Array(Math.round(sampleRate / 4));
    this.filled = 0;
    this.isRunning = true;
    this.port.onmessage = () => {
      this.isRunning = false;
      if (this.filled) this.port.postMessage(this.held.slice(0, this.filled));
      this.port.postMessage(null);
    };
  }

  process([[samples]]) {
    if (!samples || !this.isRunning) return this.isRunning;
    for (const sample of samples) {
      this.held[this.filled++] = sample;
      if (this.filled === this.held.length) {
        this.port.postMessage(this.held.slice());
        this.filled = 0;
      }
    }
    return true;
  }
}

registerProcessor("tap", Tap);
