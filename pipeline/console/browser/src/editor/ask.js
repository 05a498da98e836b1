// Asking the server while somebody types: an answer that does not come is not worth a word, the next key asks again.

/** Return the answer of a route of the API; null where there is none. */
export async function post(path, asked) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(asked),
    });
    return answer.ok || answer.status === 422 ? await answer.json() : null;
  } catch {
    return null;
  }
}
