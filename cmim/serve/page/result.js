// An answer of the server: its numbers, and what they say of a place.

const bytesOf = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));

// Numbers come beside the picture, since some browsers blur what a page reads of pictures.
export async function numbersOf(view) {
  const stream = new Blob([bytesOf(view.values)]).stream();
  const plain = stream.pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(plain).arrayBuffer();
  return view.bits === 8 ? new Uint8Array(buffer) : littleEndian(buffer);
}

function littleEndian(buffer) {
  const data = new DataView(buffer);
  return Uint16Array.from({ length: buffer.byteLength / 2 }, (_, k) => data.getUint16(2 * k, true));
}

// The place in numbers of a point (x, y), each from 0 to 1.
export function placeOf(view, point) {
  const [rows, columns, channels] = view.size;
  const cell = (share, count) => Math.min(count - 1, Math.floor(share * count));
  return (cell(point.y, rows) * columns + cell(point.x, columns)) * channels;
}

export function said(reading, number) {
  if (number === reading.unknown) return "unknown";
  const value = (reading.scale * number + reading.offset).toFixed(reading.digits);
  const plain = Number(value) === 0 ? value.replace("-", "") : value;
  return [reading.name, plain, reading.unit].filter(Boolean).join(" ");
}

// One line of text a channel.
export function describe(view, numbers, point) {
  const place = placeOf(view, point);
  if (view.names.length) return [view.names[numbers[place]]];
  return view.readings.map((each, k) => said(each, numbers[place + k]));
}

// Classes that are there, the largest first, each with its share of the picture.
export function classesOf(view, numbers) {
  const counts = new Map();
  for (const number of numbers) counts.set(number, (counts.get(number) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([number, count]) => ({
    number,
    name: view.names[number],
    colour: view.colours[number],
    share: count / numbers.length,
  }));
}

// The nearest, middle and farthest value of a view of one channel.
export function rangeOf(view, numbers) {
  const [reading] = view.readings;
  const known = numbers.filter(number => number !== reading.unknown).sort();
  if (!known.length) return "nothing is known";
  const at = share => said(reading, known[Math.round(share * (known.length - 1))]);
  return `from ${at(0)} to ${at(1)}, median ${at(0.5)}`;
}
