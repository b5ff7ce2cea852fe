// A closer look at the picture: by wheel, by two fingers, dragged about; twice touched it is whole again.

export class Zoom {
  #scale = 1;
  #x = 0;
  #y = 0;
  #fingers = new Map();
  /** @type {any} */
  #before = null;
  #moved = false;
  #stage;
  #content;

  /** `content` is enlarged within `stage`, where `isOn()` says so. */
  constructor(stage, content, isOn) {
    this.#stage = stage;
    this.#content = content;
    stage.addEventListener("wheel", (event) => {
      if (!isOn() || event.target.closest("button")) return;
      if (event.deltaY > 0 && this.#scale === 1) return; // the page's own
      event.preventDefault();
      this.#by(1.002 ** -(event.deltaMode ? event.deltaY * 30 : event.deltaY), event.clientX, event.clientY);
    }, { passive: false });
    stage.addEventListener("pointerdown", (event) => {
      if (!isOn() || event.button || event.target.closest("button, a")) return;
      this.#fingers.set(event.pointerId, event);
      this.#before = this.#middle();
      if (this.#fingers.size === 1) this.#moved = false;
    });
    stage.addEventListener("pointermove", (event) => {
      if (!this.#fingers.has(event.pointerId)) return;
      this.#fingers.set(event.pointerId, event);
      const [now, before] = [this.#middle(), this.#before];
      if (Math.hypot(now.x - before.x, now.y - before.y) + Math.abs(now.apart - before.apart) < 4 && !this.#moved) return;
      if (this.#fingers.size > 1) this.#by(now.apart / before.apart, now.x, now.y);
      if (this.#scale > 1) {
        this.#moved = true;
        this.#x += now.x - before.x;
        this.#y += now.y - before.y;
        this.#apply();
      }
      this.#before = now;
    });
    /** @type {("pointerup" | "pointercancel")[]} */
    const ends = ["pointerup", "pointercancel"];
    for (const kind of ends) {
      addEventListener(kind, (event) => {
        if (this.#fingers.delete(event.pointerId) && this.#fingers.size) this.#before = this.#middle();
      });
    }
    stage.addEventListener("dblclick", (event) => {
      if (!isOn() || event.target.closest("button, a")) return;
      if (this.#scale > 1) this.reset();
      else this.#by(2, event.clientX, event.clientY);
    });
    // The end of a drag is no click.
    stage.addEventListener("click", (event) => this.#moved && event.stopPropagation(), true);
  }

  reset() {
    this.#scale = 1;
    this.#apply();
  }

  /** By a factor, around a point of the window that stays. */
  #by(factor, clientX, clientY) {
    const { left, top } = this.#stage.getBoundingClientRect();
    const [x, y] = [clientX - left, clientY - top];
    const scale = Math.min(SCALE_MAX, Math.max(1, this.#scale * factor));
    const by = scale / this.#scale;
    this.#x = x - (x - this.#x) * by;
    this.#y = y - (y - this.#y) * by;
    this.#scale = scale;
    this.#apply();
  }

  #apply() {
    const isClose = this.#scale > 1;
    // Sizes are asked for only where they count: at first that takes a phone long.
    const { clientWidth, clientHeight } = isClose ? this.#stage : { clientWidth: 0, clientHeight: 0 };
    this.#x = Math.min(0, Math.max(clientWidth * (1 - this.#scale), this.#x));
    this.#y = Math.min(0, Math.max(clientHeight * (1 - this.#scale), this.#y));
    this.#content.style.transform = isClose ? `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})` : "";
    this.#stage.classList.toggle("close", isClose);
  }

  #middle() {
    const all = [...this.#fingers.values()];
    const mean = (of) => all.reduce((sum, finger) => sum + of(finger), 0) / all.length;
    const apart = all.length > 1 ? Math.hypot(all[0].clientX - all[1].clientX, all[0].clientY - all[1].clientY) : 1;
    return { x: mean((finger) => finger.clientX), y: mean((finger) => finger.clientY), apart };
  }
}

const SCALE_MAX = 10;
