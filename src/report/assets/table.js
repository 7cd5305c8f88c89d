// Tables that sort by a click on a head and filter by words, all of which a row must have ("tp=8 simulated"; -word: must not).
// Their data: {head: [text], rows: [[cell …] …]}, a cell a text or [text, number to sort by].
for (const holder of document.querySelectorAll('div.rows')) {
  const { head, rows } = JSON.parse(holder.querySelector('script').textContent);
  const most = 200, input = holder.querySelector('input'), output = holder.querySelector('output'), table = holder.querySelector('table');
  const text = cell => Array.isArray(cell) ? cell[0] : cell, worth = cell => Array.isArray(cell) ? cell[1] : cell;
  const words = rows.map(row => row.map(text).join(' ').toLowerCase());
  let by = -1, falling = false;
  const heads = head.map((name, column) => {
    const cell = document.createElement('th');
    cell.textContent = name, cell.tabIndex = 0, cell.setAttribute('aria-sort', 'none');
    const sort = () => { falling = by === column && !falling, by = column, draw(); };
    cell.addEventListener('click', sort);
    cell.addEventListener('keydown', event => { if (event.key === 'Enter') sort(); });
    return cell;
  });
  const top = document.createElement('thead'), body = document.createElement('tbody'), line = document.createElement('tr');
  line.append(...heads), top.append(line), table.replaceChildren(top, body);

  function draw() {
    const wanted = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = rows.map((_, i) => i).filter(i => wanted.every(
      word => word.length > 1 && word[0] === '-' ? !words[i].includes(word.slice(1)) : words[i].includes(word)));
    if (by >= 0) {
      const missing = value => value === null || value === '';
      shown.sort((i, j) => {
        const a = worth(rows[i][by]), b = worth(rows[j][by]);
        if (missing(a) || missing(b)) return missing(a) - missing(b) || i - j;  // what has no figure comes last either way
        const order = typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true });
        return (falling ? -order : order) || i - j;
      });
    }
    heads.forEach((cell, c) => cell.setAttribute('aria-sort', c !== by ? 'none' : falling ? 'descending' : 'ascending'));
    body.replaceChildren(...shown.slice(0, most).map(i => {
      const row = document.createElement('tr');
      row.append(...rows[i].map(cell => { const td = document.createElement('td'); td.textContent = text(cell); return td; }));
      return row;
    }));
    output.textContent = `${Math.min(shown.length, most)} of ${shown.length} rows shown` +
      (shown.length < rows.length ? ` (${rows.length} in all)` : '');
  }
  input.addEventListener('input', draw);
  draw();
}
