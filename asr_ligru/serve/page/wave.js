// The waveform, and where in it we are; a click goes there.
const BAR = 3; // CSS pixels, one of them free

export class Wave {
  constructor(canvas, player) {
    this.canvas = canvas;
    this.player = player;
    this.peaks = [];
    this.seconds = 1;
    canvas.onclick = (event) => {
      if (player.hidden) return;
      player.currentTime = this.seconds * event.offsetX / canvas.clientWidth;
      player.play();
    };
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  show(peaks, seconds) {
    this.peaks = peaks;
    this.seconds = seconds;
    this.draw();
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !this.peaks.length) return;
    const scale = devicePixelRatio;
    this.canvas.width = width * scale;
    this.canvas.height = height * scale;
    const pen = this.canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(this.canvas);
    const bars = Math.max(1, Math.floor(width / BAR));
    const loudest = Math.max(...this.peaks, 1);
    const played = this.player.currentTime / this.seconds;
    for (let bar = 0; bar < bars; bar++) {
      const first = Math.floor(bar / bars * this.peaks.length);
      const after = Math.max(first + 1, Math.floor((bar + 1) / bars * this.peaks.length));
      const share = Math.max(...this.peaks.slice(first, after)) / loudest;
      const tall = Math.max(2, share * (height - 4));
      pen.fillStyle = bar / bars < played ? style.getPropertyValue("--accent") : style.color;
      pen.fillRect(bar * BAR, (height - tall) / 2, BAR - 1, tall);
    }
  }
}
