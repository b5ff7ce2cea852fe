// What TypeScript does not know of browsers.

interface Window {
  /** Safari's, on iPhones in place of the other. */
  ManagedMediaSource?: typeof MediaSource;
}

interface HTMLVideoElement {
  /** Safari on iPhones, where nothing else fills the screen. */
  webkitEnterFullscreen?(): void;
}
