// On a phone the head of a table is hidden: each cell gets the heading of its column, for pages.css to show.
document.querySelectorAll("table.docutils").forEach((table) => {
  const headings = Array.from(table.querySelectorAll("thead th"), (heading) => heading.textContent);
  if (headings.length < 3) return;
  table.querySelectorAll("tbody tr").forEach((row) =>
    row.querySelectorAll("td:not(:first-child)").forEach((cell) => {
      if (cell.textContent.trim()) cell.dataset.heading = headings[cell.cellIndex];
    }),
  );
});
