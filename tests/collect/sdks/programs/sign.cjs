// Signs texts as Stripe's and GitHub's own libraries do: node sign.cjs JSON
// JSON: a list of {by: stripe | github, secret, text, at}; prints the list of signature headers' values.
'use strict'
const path = require('path')
const { pathToFileURL } = require('url')

async function main() {
  const Stripe = require('stripe')
  const stripe = new (Stripe.default ?? Stripe)('sk_test_none')
  // A module of the new kind only: it is loaded by its place.
  const octokit = path.join(process.env.NODE_PATH, '@octokit/webhooks-methods/dist-node/index.js')
  const { sign } = await import(pathToFileURL(octokit))
  const ways = {
    stripe: ({ secret, text, at }) =>
      stripe.webhooks.generateTestHeaderString({ payload: text, secret, timestamp: at }),
    github: ({ secret, text }) => sign(secret, text),
  }
  console.log(JSON.stringify(await Promise.all(JSON.parse(process.argv[2]).map((one) => ways[one.by](one)))))
}

main().catch((error) => { console.error(error); process.exit(1) })
