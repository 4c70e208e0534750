"""names that a partner tells only later: what is asked about, when, and what came of it

Revision: 0021
Follows: 0019
"""

import sqlalchemy as sa
from alembic import op


revision = '0021'
down_revision = '0019'
branch_labels = None
depends_on = None


ALREADY_SENT = """
INSERT INTO delivery_naming (delivery_id, destination, due_at, looks, state, detail)
SELECT delivery.id, delivery.destination, delivery.ended_at, 0, 'waiting', ''
FROM delivery JOIN delivery_reference AS name ON name.delivery_id = delivery.id AND name.kind = 'xds.unique-id'
WHERE delivery.format = 'xds' AND delivery.state = 'acknowledged' AND delivery.ended_at IS NOT NULL
AND NOT EXISTS (
    SELECT 1 FROM delivery_reference AS entry
    WHERE entry.delivery_id = delivery.id AND entry.kind = 'xds.entry-uuid'
)
"""
"""What was submitted before is asked about as well."""


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('delivery_naming',
    sa.Column('delivery_id', number, autoincrement=False, nullable=False),
    sa.Column('destination', sa.String(length=64), nullable=False),
    sa.Column('due_at', sa.BigInteger(), nullable=True),
    sa.Column('looked_at', sa.BigInteger(), nullable=True),
    sa.Column('looks', sa.Integer(), nullable=False),
    sa.Column('state', sa.String(length=16), nullable=False),
    sa.Column('detail', sa.String(length=200), nullable=False),
    sa.ForeignKeyConstraint(['delivery_id'], ['delivery.id'], name=op.f('fk_delivery_naming_delivery_id_delivery'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('delivery_id', name=op.f('pk_delivery_naming'))
    )
    due = sa.text('due_at IS NOT NULL')
    op.create_index('ix_delivery_naming_due', 'delivery_naming', ['destination', 'due_at'], sqlite_where=due, postgresql_where=due)
    op.execute(ALREADY_SENT)


def downgrade() -> None:
    op.drop_index('ix_delivery_naming_due', table_name='delivery_naming')
    op.drop_table('delivery_naming')
