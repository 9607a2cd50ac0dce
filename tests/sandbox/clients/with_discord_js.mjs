// Uses the WebhookClient of discord.js.
import { WebhookClient } from "discord.js";

import { takeSteps } from "./steps.mjs";

await takeSteps((url) => {
  const [id, token] = url.split("/").slice(-2);
  const webhook = new WebhookClient({ id, token }, { rest: { api: url.split("/v10/")[0] } });
  return {
    send: ({ thread_name, poll, ...message }, { threadId, file, name } = {}) =>
      webhook.send({
        ...message,
        poll: poll && { ...poll, answers: poll.answers.map((answer) => answer.poll_media) },
        files: file && [{ attachment: file, name }],
        threadId,
        threadName: thread_name,
        withComponents: true,
      }),
    get: (messageId) => webhook.fetchMessage(messageId),
    edit: (messageId, message) => webhook.editMessage(messageId, message),
    remove: (messageId) => webhook.deleteMessage(messageId),
  };
});
