// For browsers that are older than the page: what can be made up for, else a sentence. Plain ECMAScript 5.

(function () {
  // Firefox before 98 and Safari before 15.4 know no dialogs.
  if (!window.HTMLDialogElement) {
    document.addEventListener("DOMContentLoaded", function () {
      Array.prototype.forEach.call(document.querySelectorAll("dialog"), function (dialog) {
        dialog.className += " made-up";
        dialog.showModal = function () { dialog.setAttribute("open", ""); };
        dialog.close = function () { dialog.removeAttribute("open"); };
        Object.defineProperty(dialog, "open", { get: function () { return dialog.hasAttribute("open"); } });
      });
    });
  }
  // Chrome before 103, Firefox before 100, Safari before 16.
  if (window.AbortController && !AbortSignal.timeout) {
    AbortSignal.timeout = function (ms) {
      var controller = new AbortController();
      setTimeout(function () { controller.abort(); }, ms);
      return controller.signal;
    };
  }
  // Modules have run by then, where the browser understood them; or they wait for a language's table.
  var tries = 0;
  function check() {
    var root = document.documentElement;
    if (root.hasAttribute("data-started")) return;
    tries += 1;
    if (root.hasAttribute("data-waits") && tries < 15) return void setTimeout(check, 1000);
    /** @type {any} */
    var banner = document.getElementById("banner");
    banner.textContent = "This page did not start. It needs Chrome or Edge 89, Firefox 90, Safari 15, or a newer one: update this browser, or load the page again.";
    banner.hidden = false;
  }
  window.addEventListener("load", check);
})();
