// The pictures of one video: when the one that is shown begins, how near they are to each other, where the next is.

export class Frames {
  #video;
  /** When the picture that is shown begins, and the least that two were apart; in seconds. @type {number | null} */
  #at = null;
  #apart = 1;
  /** Somewhere else was sought since. */
  #isSought = false;
  #asked = -1;

  constructor(video) {
    this.#video = video;
    let sent = [0];
    video.addEventListener("seeking", () => {
      sent = [video.currentTime, sent[0]];
      this.#isSought = true;
    });
    video.addEventListener("emptied", () => {
      this.#at = null;
      this.#apart = 1;
    });
    const look = (_, { mediaTime }) => {
      video.requestVideoFrameCallback(look);
      // Firefox says where it was sent in place of where the picture begins.
      if (video.paused && sent.some((time) => Math.abs(time - mediaTime) < 1e-5)) return;
      const apart = Math.abs(mediaTime - (this.#at ?? mediaTime));
      if (apart > 0.001) this.#apart = Math.min(this.#apart, apart);
      this.#at = mediaTime;
      this.#isSought = false;
    };
    video.requestVideoFrameCallback?.(look);
  }

  /**
   * The middle of the picture so many on or back, in seconds; or null, and `again()` is called when that is known.
   * `fps`: what the camera says.
   */
  beside(step, fps, again) {
    const video = this.#video;
    const apart = Math.min(this.#apart, 1 / (Math.round(fps) || 25));
    // Browsers tell of pictures late, and not of all; between them a camera is steady.
    const told = this.#at ?? 0;
    const now = video.currentTime;
    if (now - told > 1.5 * apart && this.#asked !== now) {
      // The last report is too old to count from: shown again, the picture is reported again.
      this.#asked = now;
      let isDone = false;
      const once = () => !isDone && (isDone = true) && again();
      video.requestVideoFrameCallback?.(once);
      setTimeout(once, 300);
      video.currentTime = now;
      return null;
    }
    const passed = Math.floor((now - told) / apart + 0.01);
    // If nothing was sought since, that picture is on the screen, perhaps a little before its time.
    return told + ((this.#isSought ? passed : Math.max(0, passed)) + step + 0.5) * apart;
  }
}
