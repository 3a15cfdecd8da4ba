/* Without this the page says the same: it lets one section be seen alone, shows at once what a mark stands for, and says of
   which tables a part is out of sight. */
(function () {
  "use strict";
  var choose = document.getElementById("choose");
  if (choose) {
    var chosen = document.getElementById("chosen");
    var sections = Array.prototype.slice.call(document.querySelectorAll("section.case"));
    var show = function (id) {
      sections.forEach(function (section) { section.hidden = id !== "" && section.id !== id; });
      chosen.value = id;
    };
    choose.hidden = false;
    document.documentElement.classList.add("scripted");
    chosen.addEventListener("change", function () {
      var id = chosen.value;
      show(id);
      document.getElementById(id || "summary").scrollIntoView();
    });
    document.addEventListener("click", function (event) {
      var link = event.target.closest("a[href^='#case-']");
      if (link && document.getElementById(link.hash.slice(1)).hidden) { show(link.hash.slice(1)); }
    });
  }

  var tables = Array.prototype.slice.call(document.querySelectorAll(".scroll"));
  var measure = function () {
    tables.forEach(function (table) { table.classList.toggle("wide", table.scrollWidth > table.clientWidth + 1); });
  };
  window.addEventListener("resize", measure);
  document.addEventListener("toggle", measure, true);
  document.addEventListener("change", measure);
  measure();

  var tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  document.body.appendChild(tip);
  document.addEventListener("pointermove", function (event) {
    var mark = event.target.closest && event.target.closest("svg [data-tip], svg g, svg rect");
    if (mark && !mark.dataset.tip) {
      var title = mark.querySelector(":scope > title");
      if (title) {
        mark.dataset.tip = title.textContent;
        title.remove();
      }
    }
    tip.hidden = !(mark && mark.dataset.tip);
    if (tip.hidden) { return; }
    tip.textContent = mark.dataset.tip;
    var room = document.documentElement;
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, room.clientWidth - tip.offsetWidth - 8)) + "px";
    tip.style.top = Math.max(4, Math.min(event.clientY + 16, room.clientHeight - tip.offsetHeight - 8)) + "px";
  });
})();
