// The values of `format` that are enforced, as patterns for whole strings. Each allows a part of what
// the format's standard does; other values are annotations, as JSON Schema has it.

const TWO = '[0-9]{2}'
const LEAP_YEAR = `(?:${TWO}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)`
const DATE =
  '(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)' +
  `|02-(?:0[1-9]|1[0-9]|2[0-8]))|${LEAP_YEAR}-02-29)`
const HOUR = '(?:[01][0-9]|2[0-3])'
const TIME = `${HOUR}:[0-5][0-9]:[0-5][0-9](?:\\.[0-9]{1,9})?(?:Z|[+-]${HOUR}:[0-5][0-9])`

const NUMBER = '[0-9]{1,6}'
const DAYS = `(?:${NUMBER}Y(?:${NUMBER}M)?(?:${NUMBER}D)?|${NUMBER}M(?:${NUMBER}D)?|${NUMBER}D)`
const HOURS = `T(?:${NUMBER}H(?:${NUMBER}M)?(?:${NUMBER}S)?|${NUMBER}M(?:${NUMBER}S)?|${NUMBER}S)`

const OCTET = '(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
const WORD = '[0-9A-Fa-f]{1,4}'
const IPV6 = [
  `(?:${WORD}:){7}${WORD}`,
  ...[1, 2, 3, 4, 5, 6].map((after) => `(?:${WORD}:){1,${7 - after}}(?::${WORD}){1,${after}}`),
  `(?:${WORD}:){1,7}:`,
  `:(?:(?::${WORD}){1,7}|:)`,
].join('|')

const LABEL = '[A-Za-z0-9](?:[A-Za-z0-9-]{0,29}[A-Za-z0-9])?'
const LOCAL = '[A-Za-z0-9_+-]{1,32}'
const PATH = "[A-Za-z0-9._~!$&'()*+,;=:@-]*"

/** Patterns by format. */
export const FORMATS: ReadonlyMap<string, string> = new Map([
  ['date', DATE],
  ['time', TIME],
  ['date-time', `${DATE}T${TIME}`],
  ['duration', `P(?:${DAYS}(?:${HOURS})?|${HOURS}|${NUMBER}W)`],
  ['uuid', '[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}'],
  ['ipv4', `(?:${OCTET}\\.){3}${OCTET}`],
  ['ipv6', IPV6],
  ['hostname', `(?:${LABEL}\\.){0,6}${LABEL}`],
  ['email', `${LOCAL}(?:\\.${LOCAL}){0,1}@(?:${LABEL}\\.){1,4}[A-Za-z]{2,12}`],
  [
    'uri',
    `[a-z][a-z0-9+-]{1,15}://(?:${LABEL}\\.){0,6}${LABEL}(?::[0-9]{1,4})?(?:/${PATH})*` +
      `(?:\\?${PATH})?(?:#${PATH})?`,
  ],
])
