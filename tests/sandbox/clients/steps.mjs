// The steps of both libraries for Node.js, which return messages as Discord sends them.

// Takes the steps with the webhooks of a text channel and a forum, whose URLs are the program's arguments.
export async function takeSteps(connect) {
  const [webhook, forum] = process.argv.slice(2).map(connect);
  for (const scope of ["user", "shared", "global"]) await webhook.send({ content: scope });
  const report = await useMessages(webhook);
  Object.assign(report, await useComponents(webhook), await useForum(forum), await usePolls(webhook));
  process.stdout.write(JSON.stringify(report));
}

async function useMessages(webhook) {
  const embeds = [{ title: "Title", description: "words" }];
  const message = { content: "Hello <@80351110224678912>", username: "Robot", embeds };
  const sent = await webhook.send(message, { file: Buffer.from("words"), name: "log.txt" });
  const report = {
    execute: read(sent),
    get: read(await webhook.get(sent.id)),
    edit: read(await webhook.edit(sent.id, { content: "Bye <@80351110224678912>" })),
  };
  await webhook.remove(sent.id);
  report.delete = await webhook.get(sent.id).catch((error) => error.code);
  return report;
}

function read(message) {
  return {
    content: message.content,
    author: message.author.username,
    mentions: message.mentions.map((user) => user.username),
    embeds: message.embeds.map((embed) => embed.title),
    files: Object.fromEntries(message.attachments.map((attachment) => [attachment.filename, attachment.size])),
    edited: message.edited_timestamp !== null,
  };
}

async function useComponents(webhook) {
  const button = { type: 2, style: 5, label: "Docs", url: "https://example.org/" };
  const rows = await webhook.send({ content: "A button", components: [{ type: 1, components: [button] }] });
  const gallery = { type: 12, items: [{ media: { url: "https://example.org/plot.png" } }] };
  const container = { type: 17, components: [{ type: 10, content: "words" }, { type: 14 }, gallery] };
  const layout = await webhook.send({ flags: 1 << 15, components: [container] });
  const [text, , pictures] = layout.components[0].components;
  return {
    components: rows.components.map((row) => [row.components[0].label, row.components[0].url]),
    layout: [text.content, pictures.items[0].media.url],
  };
}

async function useForum(forum) {
  const post = await forum.send({ content: "first", thread_name: "A post" });
  const reply = await forum.send({ content: "second" }, { threadId: post.id });
  return { forum: { opened: post.channel_id === post.id, replied: reply.channel_id === post.id } };
}

async function usePolls(webhook) {
  const answers = ["Yes", "No"].map((text) => ({ poll_media: { text } }));
  const { poll } = await webhook.send({ poll: { question: { text: "Ship it?" }, answers, duration: 24 } });
  return { poll: [poll.question.text, ...poll.answers.map((answer) => answer.poll_media.text)] };
}
