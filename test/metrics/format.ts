// Prometheus' text format, read back.

export interface Family {
  type: string
  help: string
  /** Value by series, as `name{label="value",…}`. */
  series: Map<string, number>
}

const SERIES = /^([a-zA-Z_:][\w:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)$/

/** Families by name; throws for a line that is not of the format or comes before its TYPE. */
export function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>()
  let current: [string, Family] | undefined
  for (const line of text.split('\n')) {
    if (line === '') continue
    const help = /^# HELP (\S+) (.+)$/.exec(line)
    if (help) {
      if (families.has(help[1])) throw new Error(`${help[1]} comes twice`)
      current = [help[1], { type: '', help: help[2], series: new Map() }]
      families.set(...current)
      continue
    }
    const type = /^# TYPE (\S+) (gauge|counter|histogram)$/.exec(line)
    if (type && current?.[0] === type[1]) {
      current[1].type = type[2]
      continue
    }
    const series = SERIES.exec(line)
    const value = Number(series?.[3].replace('+Inf', 'Infinity'))
    if (!series || Number.isNaN(value)) throw new Error(`not of the format: ${line}`)
    const [name, family] = current ?? ['', undefined]
    const suffixes = family?.type === 'histogram' ? ['_bucket', '_sum', '_count'] : ['']
    if (!suffixes.some((suffix) => series[1] === name + suffix)) {
      throw new Error(`${series[1]} is not of ${name}`)
    }
    const key = series[1] + (series[2] ?? '')
    if (family!.series.has(key)) throw new Error(`${key} comes twice`)
    family!.series.set(key, value)
  }
  return families
}

/** All series with their values. */
export function seriesOf(text: string): Map<string, number> {
  return new Map([...parseMetrics(text).values()].flatMap(({ series }) => [...series]))
}
