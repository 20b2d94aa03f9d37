// Stop strings against a search that looks at the whole text after each character.

import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { StopStrings } from '../../src/text/stop-strings.ts'

interface Result {
  text: string
  stopped: string | undefined
}

function search(text: string, stops: string[]): Result {
  const longestFirst = [...stops].sort((left, right) => right.length - left.length)
  for (let end = 1; end <= text.length; end++) {
    const stopped = longestFirst.find((stop) => text.slice(0, end).endsWith(stop))
    if (stopped !== undefined) return { text: text.slice(0, end - stopped.length), stopped }
  }
  return { text, stopped: undefined }
}

function run(chunks: string[], stops: string[]): Result {
  const matcher = new StopStrings(stops)
  let text = ''
  for (const chunk of chunks) text += matcher.push(chunk).text
  const rest = matcher.finish()
  return { text: text + rest.text, stopped: rest.stopped }
}

test.each<[string, string[], string, string | undefined]>([
  ['aaab', ['aab'], 'a', 'aab'],
  ['abababc', ['ababc'], 'ab', 'ababc'],
  ['hello', ['hello'], '', 'hello'],
  ['hello', ['l'], 'he', 'l'],
  ['hello', ['help', 'low'], 'hello', undefined],
  // The one that is complete first wins, of those the longest.
  ['abcd', ['bcd', 'c'], 'ab', 'c'],
  ['abcd', ['c', 'abc', 'bc'], '', 'abc'],
  ['a\n\nb', ['\n\n', '\nb'], 'a', '\n\n'],
  ['ok 👍 fine', ['👍'], 'ok ', '👍'],
  ['ok 👍', ['👎'], 'ok 👍', undefined],
  ['text', [], 'text', undefined],
  ['aa', ['a', 'a'], '', 'a'],
])('%j with stops %j ends as %j', (text, stops, expected, stopped) => {
  const result = { text: expected, stopped }
  expect(run([text], stops)).toEqual(result)
  expect(run([...text], stops)).toEqual(result)
  expect(search(text, stops)).toEqual(result)
})

test('a stop string at every place of a text, cut in two at every place', () => {
  const words = 'one two three'
  for (let place = 0; place <= words.length; place++) {
    const text = `${words.slice(0, place)}<|stop|>${words.slice(place)}`
    const expected = { text: words.slice(0, place), stopped: '<|stop|>' }
    for (let cut = 0; cut <= text.length; cut++) {
      expect(run([text.slice(0, cut), text.slice(cut)], ['<|stop|>'])).toEqual(expected)
    }
  }
})

const stopLists = fc.array(fc.stringMatching(/^[ab]{1,5}$/), { maxLength: 4 })
const chunkLists = fc.array(fc.stringMatching(/^[abc]{0,6}$/), { maxLength: 10 })

test('the result is that of the whole text, however it is cut', () => {
  fc.assert(
    fc.property(chunkLists, stopLists, (chunks, stops) => {
      expect(run(chunks, stops)).toEqual(search(chunks.join(''), stops))
    }),
    { seed: 1, numRuns: 5000 },
  )
})

test('held back is the longest end of the text that begins a stop string, and no more', () => {
  fc.assert(
    fc.property(chunkLists, stopLists, (chunks, stops) => {
      const matcher = new StopStrings(stops)
      let text = ''
      let shown = ''
      for (const chunk of chunks) {
        text += chunk
        const result = matcher.push(chunk)
        shown += result.text
        if (result.stopped !== undefined) return
        let held = 0
        for (let length = 1; length <= text.length; length++) {
          if (stops.some((stop) => stop.startsWith(text.slice(-length)))) held = length
        }
        expect(shown).toBe(text.slice(0, text.length - held))
      }
    }),
    { seed: 2, numRuns: 3000 },
  )
})

test('once stopped nothing more comes', () => {
  const matcher = new StopStrings(['.'])
  expect(matcher.push('a. b')).toEqual({ text: 'a', stopped: '.' })
  expect(matcher.push(' c. d')).toEqual({ text: '', stopped: '.' })
  expect(matcher.finish()).toEqual({ text: '', stopped: '.' })
})

test('an empty stop string is a fault of the caller', () => {
  expect(() => new StopStrings(['a', ''])).toThrow('a stop string is empty')
})
