import { PrismaAdapter } from "@waymark/adapter-prisma";
import { PersistenceManager } from "@waymark/core";

/**
 * Stores the order of a conversation that has all it needs, and says so in the conversation: both or neither. Resolves to
 * what was said; null where there is nothing to order, or it was ordered before.
 */
export async function placeOrder(prisma, id) {
  return prisma.$transaction(async (tx) => {
    // Loaded inside: after a rollback, nothing that was written into this session is used again.
    const persistence = new PersistenceManager({ adapter: new PrismaAdapter({ prisma: tx }) });
    const opened = await persistence.open(id, { last: 0 });
    if (opened === null) return null;
    const { dish, count, name } = opened.session.data;
    if (dish === undefined || count === undefined || name === undefined) return null;
    if ((await tx.order.findUnique({ where: { sessionId: id } })) !== null) return null;
    const { number } = await tx.order.create({ data: { sessionId: id, dish, count, name } });
    const content = `Order ${number}: ${count} x ${dish} for ${name}.`;
    await persistence.saveTurn({ session: opened.session, messages: [{ role: "assistant", content }] });
    return content;
  });
}
