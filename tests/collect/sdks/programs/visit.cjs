// Visits pages in a headless browser, all at once, and clicks the button of each: node visit.cjs BROWSER PAGE...
// Stays on each until nothing was asked of the network for half a second. Prints for each what its console showed as
// errors or warnings and what was thrown, each request that failed or was answered with 400 or more, and all requests.
'use strict'
const { chromium } = require('playwright-core')
const [browserPath, ...pages] = process.argv.slice(2)
const QUIET_MS = 500

async function visit(browser, address) {
  const page = await (await browser.newContext()).newPage()
  const errors = [], bad = [], requests = []
  let last = Date.now()
  page.on('console', (said) => { if (['error', 'warning'].includes(said.type())) errors.push(said.text()) })
  page.on('pageerror', (error) => errors.push(String(error)))
  page.on('requestfailed', (one) => bad.push(`${one.method()} ${one.url()} ${one.failure().errorText}`))
  page.on('request', (one) => { last = Date.now(); requests.push(`${one.method()} ${new URL(one.url()).pathname}`) })
  page.on('response', (one) => {
    last = Date.now()
    if (one.status() >= 400) bad.push(`${one.status()} ${one.request().method()} ${one.url()}`)
  })
  const quiet = async () => {
    last = Date.now()
    while (Date.now() - last < QUIET_MS) await new Promise((done) => setTimeout(done, 50))
  }
  await page.goto(address)
  await page.waitForSelector('body[data-ready=yes]', { timeout: 20000 })
  await quiet()
  await page.click('#buy')
  await quiet()
  return { errors, bad, requests }
}

async function main() {
  const browser = await chromium.launch({ executablePath: browserPath, args: ['--disable-dev-shm-usage'] })
  try {
    console.log(JSON.stringify(await Promise.all(pages.map((address) => visit(browser, address)))))
  } finally {
    await browser.close()
  }
}

main().catch((error) => { console.error(error); process.exit(1) })
