// SPDX-License-Identifier: Apache-2.0

// Three small comforts; every page works without them.
(function () {
  "use strict";

  // 1. A page that waits names its event stream: reload it when something happened, unless
  // somebody is writing.
  var events = document.documentElement.getAttribute("data-events");
  if (events && window.EventSource) {
    var source = new EventSource(events);
    source.addEventListener("changed", function () {
      source.close();
      var writing = Array.from(document.querySelectorAll("[data-keep]")).some(function (box) { return box.value; });
      if (!writing) {
        window.location.reload();
      }
    });
  }

  // 2. Buttons that copy a text.
  document.querySelectorAll("[data-copy]").forEach(function (button) {
    if (!navigator.clipboard) {
      return;
    }
    button.hidden = false;
    button.addEventListener("click", function () {
      navigator.clipboard.writeText(button.getAttribute("data-copy")).then(function () {
        button.textContent = "Copied";
      });
    });
  });

  // 3. A slider and its number stay equal.
  document.querySelectorAll("[data-mirror]").forEach(function (slider) {
    var number = document.getElementById(slider.getAttribute("data-mirror"));
    slider.hidden = false;
    slider.addEventListener("input", function () { number.value = slider.value; });
    number.addEventListener("input", function () { slider.value = number.value; });
  });
})();
