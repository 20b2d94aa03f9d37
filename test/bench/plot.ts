// Line plots as SVG text, on logarithmic axes or a linear one below.

export interface Series {
  name: string
  color: string
  points: readonly (readonly [x: number, y: number])[]
  /** Calculated and not measured: a line without marks. */
  calculated?: boolean
  /** Apart from each other: open marks without a line. */
  apart?: boolean
}

export interface Panel {
  title: string
  xLabel: string
  /** Writes a value of an axis. */
  xText: (value: number) => string
  yText: (value: number) => string
  /** Lines of the grid: powers of these; or `xTicks`, which make that axis linear. */
  xBase?: number
  yBase: number
  xTicks?: readonly number[]
  /** Pixels. */
  width?: number
  series: readonly Series[]
}

const PANEL = { width: 480, height: 340 }
/** From a panel's edge to its axes: room for titles and labels. */
const MARGIN = { left: 72, right: 24, top: 70, bottom: 52 }
const INK = '#1f2328'
const PALE = '#d0d7de'
const FONT = 'system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif'
/** Grid lines of one axis at most. */
const MOST_TICKS = 8
/** Decimals of coordinates. */
const DECIMALS = 1
const DECIMAL = 10

/** Panels beside each other, dark on a white ground. */
export function plotSvg(panels: readonly Panel[]): string {
  const lefts = panels.map((_, i) => sum(panels.slice(0, i).map(widthOf)))
  const width = sum(panels.map(widthOf))
  const size = `width="${width}" height="${PANEL.height}" viewBox="0 0 ${width} ${PANEL.height}"`
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" ${size} font-family="${FONT}" font-size="12" fill="${INK}">`,
    `<rect width="${width}" height="${PANEL.height}" fill="#ffffff"/>`,
    ...panels.flatMap((panel, i) => [
      `<g transform="translate(${lefts[i]} 0)">`,
      ...panelLines(panel),
      '</g>',
    ]),
    '</svg>\n',
  ].join('\n')
}

const widthOf = ({ width = PANEL.width }: Panel) => width
const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0)

/**
 * Powers of `base` that enclose all values, and of those in between as many as an axis has room for.
 * At least one step apart, so that an axis has a length.
 */
export function logTicks(values: readonly number[], base: number): number[] {
  const exponent = (value: number) => Math.log(value) / Math.log(base)
  // A power itself must not be rounded past its neighbour.
  const low = Math.floor(exponent(Math.min(...values)) + 1e-9)
  const high = Math.max(Math.ceil(exponent(Math.max(...values)) - 1e-9), low + 1)
  const step = Math.ceil((high - low) / (MOST_TICKS - 1))
  const ticks: number[] = []
  for (let at = low; at < high + step; at += step) ticks.push(base ** at)
  return ticks
}

function panelLines(panel: Panel): string[] {
  const points = panel.series.flatMap((series) => series.points)
  const xValues = points.map(([x]) => x)
  const xTicks = panel.xTicks ?? logTicks(xValues, panel.xBase ?? DECIMAL)
  const yTicks = logTicks(
    points.map(([, y]) => y),
    panel.yBase,
  )
  const right = widthOf(panel) - MARGIN.right
  const bottom = PANEL.height - MARGIN.bottom
  const x = (panel.xTicks ? linearScale : logScale)(xTicks, MARGIN.left, right)
  const y = logScale(yTicks, bottom, MARGIN.top)
  const middle = (MARGIN.left + right) / 2
  return [
    text(panel.title, MARGIN.left, 24, 'font-size="14" font-weight="600"'),
    ...legend(panel.series),
    ...yTicks.flatMap((tick) => [
      line([MARGIN.left, y(tick)], [right, y(tick)], PALE),
      text(panel.yText(tick), MARGIN.left - 8, y(tick) + 4, 'text-anchor="end"'),
    ]),
    ...xTicks.flatMap((tick) => [
      line([x(tick), MARGIN.top], [x(tick), bottom], PALE),
      text(panel.xText(tick), x(tick), bottom + 18, 'text-anchor="middle"'),
    ]),
    line([MARGIN.left, bottom], [right, bottom], INK),
    line([MARGIN.left, MARGIN.top], [MARGIN.left, bottom], INK),
    text(panel.xLabel, middle, PANEL.height - 12, 'text-anchor="middle"'),
    ...panel.series.flatMap((series) => seriesLines(series, x, y)),
  ]
}

/** About the pixels of a letter. */
const LETTER = 6.6

/** Names of the series in their colours, one after the other in a row under the title. */
function legend(series: readonly Series[]): string[] {
  let left = MARGIN.left
  return series.flatMap(({ name, color, calculated, apart }) => {
    const at = left
    left += 26 + name.length * LETTER + 18
    const stroke = apart ? [] : [line([at, 46], [at + 20, 46], color, 2.5)]
    const mark = calculated ? [] : [dot([at + 10, 46], color, apart)]
    return [...stroke, ...mark, text(name, at + 26, 50)]
  })
}

function seriesLines(
  { points, color, calculated, apart }: Series,
  x: (value: number) => number,
  y: (value: number) => number,
): string[] {
  const places = points.map(([px, py]): Place => [x(px), y(py)])
  const path = places.map(([px, py]) => `${fixed(px)},${fixed(py)}`).join(' ')
  const stroke = `<polyline points="${path}" fill="none" stroke="${color}" stroke-width="2.5"/>`
  return [
    ...(apart ? [] : [stroke]),
    ...(calculated ? [] : places.map((place) => dot(place, color, apart))),
  ]
}

function linearScale(
  ticks: readonly number[],
  from: number,
  to: number,
): (value: number) => number {
  const [low, high] = [ticks[0], ticks[ticks.length - 1]]
  return (value) => from + ((value - low) / (high - low)) * (to - from)
}

/** From the first to the last tick over a length of the picture. */
function logScale(ticks: readonly number[], from: number, to: number): (value: number) => number {
  const low = Math.log(ticks[0])
  const high = Math.log(ticks[ticks.length - 1])
  return (value) => from + ((Math.log(value) - low) / (high - low)) * (to - from)
}

type Place = readonly [x: number, y: number]

function line([x1, y1]: Place, [x2, y2]: Place, color: string, width = 1): string {
  const ends = `x1="${fixed(x1)}" y1="${fixed(y1)}" x2="${fixed(x2)}" y2="${fixed(y2)}"`
  return `<line ${ends} stroke="${color}" stroke-width="${width}"/>`
}

function dot([x, y]: Place, color: string, open = false): string {
  const fill = open ? `fill="#ffffff" stroke="${color}" stroke-width="2"` : `fill="${color}"`
  return `<circle cx="${fixed(x)}" cy="${fixed(y)}" r="4" ${fill}/>`
}

function text(content: string, x: number, y: number, attributes = ''): string {
  const escaped = content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
  return `<text x="${fixed(x)}" y="${fixed(y)}" ${attributes}>${escaped}</text>`
}

function fixed(value: number): string {
  return value.toFixed(DECIMALS)
}
