/** Read a pasted row of a table: comma, semicolon or tab between cells, with or without its head. */

/**
 * Return `{row, others, unknown}`: the first row by column, how many follow, and the columns of the
 * head that the model does not take. Without a head the cells are the columns, in their order.
 */
export function rowOfTable(text, columns) {
  const lines = cellsOf(text, delimiter(text)).filter((cells) => cells.some((cell) => cell.trim()));
  if (lines.length === 0) return null;
  const names = lines[0].map((cell) => cell.trim());
  const hasHead = names.some((name) => columns.includes(name));
  if (!hasHead) return { row: zip(columns, lines[0]), others: lines.length - 1, unknown: [] };
  if (lines.length === 1) return null;
  const unknown = names.filter((name) => name && !columns.includes(name));
  return { row: zip(names, lines[1]), others: lines.length - 2, unknown };
}

function zip(names, cells) {
  return Object.fromEntries(
    names.slice(0, cells.length).map((name, place) => [name, cells[place].trim()]),
  );
}

function delimiter(text) {
  const [first] = text.split("\n", 1);
  const count = (mark) => first.split(mark).length;
  return ["\t", ";", ","].reduce((best, mark) => (count(mark) > count(best) ? mark : best), ",");
}

/** Cells by line; a quoted cell may hold the delimiter, line ends and doubled quotes (RFC 4180). */
function cellsOf(text, mark) {
  const lines = [[""]];
  let quoted = false;
  for (let place = 0; place < text.length; place += 1) {
    const sign = text[place];
    const line = lines.at(-1);
    if (quoted) {
      if (sign !== '"') line[line.length - 1] += sign;
      else if (text[place + 1] === '"') line[line.length - 1] += text[(place += 1)];
      else quoted = false;
    } else if (sign === '"' && line.at(-1) === "") quoted = true;
    else if (sign === mark) line.push("");
    else if (sign === "\n") lines.push([""]);
    else if (sign !== "\r") line[line.length - 1] += sign;
  }
  return lines;
}
