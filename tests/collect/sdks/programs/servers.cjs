// Sends through one SDK of npm, as its documentation shows: node servers.cjs NAME URL KEY PREFIX USERS EVENTS
// Each of so many users is identified with its plan and flushed (requests that overlap have no order), then so
// many events go out, in turn of the users. The last line on stdout says what the SDK reported: how often it gave
// up, and why. NODE_PATH names where the SDKs lie.
'use strict'
const [name, url, key, prefix] = process.argv.slice(2, 6)
const [users, events] = process.argv.slice(6).map(Number)
const failed = []
const people = Array.from({ length: users }, (_, n) => [`${prefix}${n}`, { plan: n % 2 ? 'pro' : 'free', seat: n }])
const happenings = Array.from({ length: events }, (_, n) => [
  `${prefix}${n % users}`, { n, amount: 250 + n, note: 'Grüße, «7»' },
])
const called = (start) => new Promise((done) => start((error) => { if (error) failed.push(String(error)); done() }))

const SDKS = {
  async segment() {
    const { Analytics } = require('@segment/analytics-node')
    const client = new Analytics({ writeKey: key, host: url, flushInterval: 100 })
    client.on('error', (error) => failed.push(JSON.stringify(error)))
    for (const [userId, traits] of people) client.identify({ userId, traits })
    await client.flush()
    for (const [userId, properties] of happenings) client.track({ userId, event: 'Purchase', properties })
    await client.closeAndFlush()
  },

  async rudder() {
    const Analytics = require('@rudderstack/rudder-sdk-node')
    const client = new (Analytics.default ?? Analytics)(key, { dataPlaneUrl: url, flushInterval: 100 })
    for (const [userId, traits] of people) client.identify({ userId, traits })
    await client.flush()
    for (const [userId, properties] of happenings) client.track({ userId, event: 'Purchase', properties })
    await client.flush()
  },

  async posthog() {
    const { PostHog } = require('posthog-node')
    const client = new PostHog(key, { host: url, flushAt: 20, fetchRetryDelay: 300 })
    client.on('error', (error) => failed.push(String(error)))
    for (const [distinctId, properties] of people) client.identify({ distinctId, properties })
    await client.flush()
    for (const [distinctId, properties] of happenings) client.capture({ distinctId, event: 'Purchase', properties })
    await client.shutdown()
  },

  async 'posthog-v1'() {
    process.env.POSTHOG_CAPTURE_MODE = 'v1'
    await SDKS.posthog()
  },

  async jitsu() {
    const { jitsuAnalytics } = require('@jitsu/js')
    const client = jitsuAnalytics({ host: url, writeKey: `${key}:secret`, s2s: true })
    const sent = []
    for (const [userId, traits] of people) sent.push(client.identify(userId, traits))
    await Promise.all(sent.splice(0))
    for (const [userId, properties] of happenings) {
      await client.identify(userId)
      sent.push(client.track('Purchase', properties))
    }
    await Promise.all(sent)
  },

  async heap() {
    // This SDK has its address built in: only the address is exchanged before it is loaded.
    const where = require.resolve('request', { paths: [require.resolve('heap-api')] })
    const real = require(where)
    require.cache[where].exports = (given, back) =>
      real({ ...given, url: (given.url ?? given.uri).replace('https://heapanalytics.com', url) }, back)
    const client = require('heap-api')(key)
    for (const [user, traits] of people) await client.addUserProperties(user, traits)
    for (const [user, properties] of happenings) await client.track('Purchase', user, properties)
  },

  async mixpanel() {
    const { hostname, port } = new URL(url)
    const client = require('mixpanel').init(key, { host: hostname, port: Number(port), protocol: 'http' })
    for (const [user, traits] of people) await called((back) => client.people.set(user, traits, back))
    for (const [user, properties] of happenings) {
      await called((back) => client.track('Purchase', { distinct_id: user, ...properties }, back))
    }
  },

  async amplitude() {
    const { createInstance, Identify } = require('@amplitude/analytics-node')
    const client = createInstance()
    await client.init(key, { serverUrl: `${url}/2/httpapi`, flushIntervalMillis: 100, minIdLength: 1 }).promise
    const sent = []
    for (const [user_id, traits] of people) {
      const about = new Identify()
      for (const [name, value] of Object.entries(traits)) about.set(name, value)
      sent.push(client.identify(about, { user_id }).promise)
    }
    await Promise.all(sent)
    for (const [user_id, properties] of happenings) {
      sent.push(client.track('Purchase', properties, { user_id }).promise)
    }
    for (const { code, message } of await Promise.all(sent)) if (code !== 200) failed.push(`${code} ${message}`)
  },

  async cloudevents() {
    const { CloudEvent, HTTP, emitterFor, httpTransport } = require('cloudevents')
    const target = `${url}/cloudevents`
    const options = { headers: { authorization: `Bearer ${key}` } }
    const binary = emitterFor(httpTransport(target))
    const made = ([subject, data], type) => new CloudEvent({ type, source: '/shop', subject, data })
    const posted = async ({ headers, body }) => {
      const answer = await fetch(target, { method: 'POST', headers: { ...headers, ...options.headers }, body })
      if (!answer.ok) failed.push(`${answer.status} ${await answer.text()}`)
    }
    const [first, second, ...rest] = happenings
    const { statusCode } = (await binary(made(first, 'Purchase'), options)) ?? {}
    if (statusCode >= 300) failed.push(String(statusCode))
    await posted(HTTP.structured(made(second, 'Purchase')))
    const batch = rest.map((one) => JSON.parse(HTTP.structured(made(one, 'Purchase')).body))
    await posted({ headers: { 'content-type': 'application/cloudevents-batch+json' }, body: JSON.stringify(batch) })
  },
}

SDKS[name]().then(
  () => console.log(JSON.stringify({ failed })),
  (error) => { console.error(error); process.exit(1) },
)
