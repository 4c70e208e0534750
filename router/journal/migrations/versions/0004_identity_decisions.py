"""what persons decided about held Items

Revision: 0004
Follows: 0003
"""

import sqlalchemy as sa
from alembic import op


revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None


def upgrade() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), 'sqlite')
    op.create_table('identity_decision',
    sa.Column('id', number, autoincrement=True, nullable=False),
    sa.Column('at', sa.BigInteger(), nullable=False),
    sa.Column('actor', sa.String(length=120), nullable=False),
    sa.Column('action', sa.String(length=16), nullable=False),
    sa.Column('item_id', number, nullable=False),
    sa.Column('patient_id', number, nullable=True),
    sa.Column('reason', sa.String(length=64), nullable=True),
    sa.Column('why', sa.String(length=40), nullable=False),
    sa.Column('group_id', number, nullable=True),
    sa.Column('undoes', number, nullable=True),
    sa.Column('sealed_detail', sa.LargeBinary(), nullable=True),
    sa.ForeignKeyConstraint(['item_id'], ['item.id'], name=op.f('fk_identity_decision_item_id_item'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_identity_decision'))
    )
    op.create_index('ix_identity_decision_item', 'identity_decision', ['item_id', 'id'])
    # Who decided what is not rewritten, not even by us.
    if op.get_bind().dialect.name == 'sqlite':
        op.execute(
            "CREATE TRIGGER identity_decision_append_only BEFORE UPDATE ON identity_decision "
            "BEGIN SELECT RAISE(ABORT, 'decisions are only appended'); END"
        )
    else:
        op.execute(
            "CREATE FUNCTION identity_decision_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'decisions are only appended'; END $$"
        )
        op.execute(
            "CREATE TRIGGER identity_decision_append_only BEFORE UPDATE ON identity_decision "
            "FOR EACH ROW EXECUTE FUNCTION identity_decision_append_only()"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == 'sqlite':
        op.execute("DROP TRIGGER identity_decision_append_only")
    op.drop_index('ix_identity_decision_item', table_name='identity_decision')
    op.drop_table('identity_decision')
    if op.get_bind().dialect.name != 'sqlite':
        op.execute("DROP FUNCTION identity_decision_append_only()")
